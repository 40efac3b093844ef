"""The tools that people run notebooks with: nbclient, nbconvert, papermill, and our own runner."""

import os
import shutil
import subprocess
import sys

import nbclient
import nbformat
import papermill
import pytest

from brooklet_client import plain
from conftest import REPOSITORY, executable

NOTEBOOKS = REPOSITORY / "notebooks"
PATIENCE = 600


@pytest.fixture
def notebooks(tmp_path):
    """A copy, so that nothing is written among the project's files."""
    return shutil.copytree(NOTEBOOKS, tmp_path / "notebooks")


def check_executed(notebook):
    """Every code cell ran without an error, in order, and the tour shows what it is about."""
    nbformat.validate(notebook)
    cells = [it for it in notebook.cells if it.cell_type == "code" and it.source.strip()]
    assert [it.execution_count for it in cells] == list(range(1, len(cells) + 1))
    expected_errors = [it for it in cells if "raises-exception" in it.metadata.get("tags", [])]
    failed = [it.source for it in cells if any(out.output_type == "error" for out in it.outputs)]
    assert [it for it in failed if it not in [cell.source for cell in expected_errors]] == []
    html = [out.data["text/html"] for it in cells for out in it.outputs if "text/html" in out.get("data", {})]
    assert any("brooklet-dag" in it and "<svg" in it for it in html), "no picture of the graph"
    assert any("<table" in it for it in html), "no table"
    return cells


def test_nbclient_runs_the_tour(notebooks):
    notebook = nbformat.read(notebooks / "tour.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=PATIENCE, resources={"metadata": {"path": str(notebooks)}}).execute()
    check_executed(notebook)


def test_nbconvert_executes_the_tour_and_renders_it(notebooks):
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--execute", "--to", "html", "tour.ipynb"]
    command += [f"--ExecutePreprocessor.timeout={PATIENCE}"]
    subprocess.run(command, cwd=notebooks, check=True)
    page = (notebooks / "tour.html").read_text()
    assert "brooklet-dag" in page and "<svg" in page and "<table" in page


def test_papermill_runs_the_tour(notebooks, tmp_path):
    output = tmp_path / "out.ipynb"
    papermill.execute_notebook(
        str(notebooks / "tour.ipynb"), str(output), cwd=str(notebooks), kernel_name="brooklet",
        progress_bar=False, execution_timeout=PATIENCE,
    )
    check_executed(nbformat.read(output, as_version=4))


def test_our_runner_needs_no_jupyter_and_agrees_with_nbclient(notebooks, tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER")}
    done = subprocess.run(
        [executable(), "run", "notebooks/tour.ipynb"], cwd=tmp_path, env=environment, text=True,
        capture_output=True, timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    directory = tmp_path / "target" / "tour"
    cells = check_executed(nbformat.read(directory / "tour.ipynb", as_version=4))
    for number, cell in enumerate(cells, 1):
        assert f"[{number}] {cell.source.splitlines()[0].strip()[:60]}" in done.stdout
    page = (directory / "tour.html").read_text()
    assert "brooklet-dag" in page and "<table" in page and "http-equiv" not in page


def make_notebook(path, *cells):
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "brooklet", "display_name": "x", "language": "rust"}})
    for source, tags in cells:
        notebook.cells.append(nbformat.v4.new_code_cell(source, metadata={"tags": tags}))
    nbformat.write(notebook, path)


def run(path, *arguments):
    return subprocess.run(
        [executable(), "run", path.name, "--output-dir", "out", *arguments], cwd=path.parent, text=True,
        capture_output=True, timeout=PATIENCE,
    )


def test_our_runner_names_the_cell_that_failed_and_stops(tmp_path):
    path = tmp_path / "bad.ipynb"
    make_notebook(path, ("%run nothing", ["raises-exception"]), ("%input a=1", []), ("%run missing", []), ("%input b=1", []))
    done = run(path)
    assert done.returncode == 1
    assert "bad.ipynb: cell [3] %run missing failed" in done.stderr
    executed = nbformat.read(tmp_path / "out" / "bad.ipynb", as_version=4)
    nbformat.validate(executed)
    assert [it.execution_count for it in executed.cells] == [1, 2, 3, None]
    assert [out.output_type for out in executed.cells[2].outputs][-1] == "error"
    assert (tmp_path / "out" / "bad.html").exists()


def test_our_runner_goes_on_where_errors_are_allowed(tmp_path):
    path = tmp_path / "bad.ipynb"
    make_notebook(path, ("%run missing", []), ("%input b=1", []))
    done = run(path, "--allow-errors")
    assert done.returncode == 0
    assert [it.execution_count for it in nbformat.read(tmp_path / "out" / "bad.ipynb", as_version=4).cells] == [1, 2]


def test_what_is_no_notebook_is_refused_in_one_line(tmp_path):
    for name, text, problem in [("a.ipynb", "hello", "not a notebook"), ("b.ipynb", None, "cannot read")]:
        if text is not None:
            (tmp_path / name).write_text(text)
        done = run(tmp_path / name)
        assert done.returncode == 1 and problem in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


def test_the_doctor_finds_this_machine_able(tmp_path):
    done = subprocess.run([executable(), "doctor"], text=True, capture_output=True, timeout=PATIENCE)
    lines = dict(line.split(None, 2)[1::-1] for line in done.stdout.splitlines() if not line.startswith(" "))
    assert lines["Rust"] == "ok" and lines["linker"] == "ok", done.stdout
    assert all(it in done.stdout for it in ("rust-src", "image", "Python", "kernelspec"))


def test_the_doctor_says_how_to_mend(tmp_path):
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run([executable(), "doctor"], env=environment, text=True, capture_output=True)
    assert done.returncode == 1
    assert "FAIL  Rust" in done.stdout and "mend: install Rust" in plain(done.stdout)


def test_uninstall_removes_what_install_wrote(tmp_path):
    directory = tmp_path / "share" / "jupyter" / "kernels" / "brooklet"
    for command, there in [("install", True), ("uninstall", False), ("uninstall", False)]:
        subprocess.run([executable(), command, "--prefix", tmp_path], check=True, capture_output=True)
        assert directory.exists() is there


def test_install_for_the_user_respects_jupyters_variable(tmp_path):
    environment = {**os.environ, "JUPYTER_DATA_DIR": str(tmp_path / "data")}
    subprocess.run([executable(), "install"], env=environment, check=True, capture_output=True)
    assert (tmp_path / "data" / "kernels" / "brooklet" / "kernel.json").exists()
