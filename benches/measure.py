"""Measures what a person waits for, with a real kernel and a real client, and prints a table.

    python3 benches/measure.py [--write] [--cold]

`--write` puts the numbers into `docs/performance.md`; `--cold` also builds everything from empty caches, which
takes as long as it takes. The Python environment is the one of the tests (`cargo test` makes it).
Medians; compare the ratios, not the seconds: machines differ.
"""

import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "brooklet"
VENV = CACHE / "test-venv"
if pathlib.Path(sys.prefix) != VENV:
    python = VENV / "bin" / "python"
    if not python.exists():
        sys.exit(f"{VENV} is not there: `cargo test --release --workspace` makes it")
    os.execv(python, [str(python), *sys.argv])

sys.path.insert(0, str(REPOSITORY / "tests" / "python"))

import psutil  # noqa: E402
import zmq  # noqa: E402
from brooklet_client import Kernel  # noqa: E402
from jupyter_client import BlockingKernelClient  # noqa: E402
from jupyter_client.connect import write_connection_file  # noqa: E402

PAGE = REPOSITORY / "docs" / "performance.md"


def executable():
    if path := os.environ.get("BROOKLET"):
        return path
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or REPOSITORY / "target")
    return str(target / "release" / "brooklet")


def median(values):
    return statistics.median(values)


def timed(action):
    before = time.perf_counter()
    action()
    return time.perf_counter() - before


class Tour:
    """A kernel on a copy of the tour, with the tour's files watched and its inputs given."""

    # The function whose body is edited: its value does not change, its code does.
    EDITED = "calendar.height() - daily.height()"
    RUN = "%run missing_days summary"

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp()) / "notebooks"
        shutil.copytree(REPOSITORY / "notebooks", self.directory)
        cells = json.loads((self.directory / "tour.ipynb").read_text())["cells"]
        sources = ["".join(it["source"]) for it in cells if it["cell_type"] == "code"]
        self.setup = [next(it for it in sources if it.startswith(magic)) for magic in ("%watch", "%input")]
        self.file = self.directory / "transforms" / "channels.rs"
        self.text = self.file.read_text()
        assert self.EDITED in self.text, "the function that is edited has changed"
        self.edits = 0

    def start(self):
        kernel = Kernel(self.directory)
        for cell in self.setup:
            kernel.ok(cell)
        return kernel

    def edit(self):
        """Saves the file with another body of one function."""
        self.edits += 1
        self.file.write_text(self.text.replace(self.EDITED, f"{self.EDITED} + {self.edits} - {self.edits}"))


def image():
    """The image's manifest, from the directory that the doctor names."""
    text = subprocess.run([executable(), "doctor"], text=True, capture_output=True).stdout
    found = re.search(r"image\s+built, (\S+)", text)
    assert found, f"the image is not built:\n{text}"
    return json.loads((pathlib.Path(found[1]) / "image.json").read_text())


def type_check(tour, runs=9):
    """`rustc --emit=metadata` of the tour's files alone: what any tool has to wait for."""
    manifest = image()
    directory = pathlib.Path(tempfile.mkdtemp())
    modules = "".join(f'#[path = "{it}"] pub mod {it.stem};\n' for it in sorted((tour.directory / "transforms").glob("*.rs")))
    (directory / "lib.rs").write_text("#![allow(warnings)]\nextern crate brooklet_image as _;\n" + modules)
    command = [manifest["rustc"], "--edition", "2024", "--crate-type", "lib", "--crate-name", "alone", "--emit=metadata", "-Cprefer-dynamic"]
    command += [f"-Ldependency={manifest['dependencies']}", "--out-dir", str(directory), str(directory / "lib.rs")]
    command += [f"--extern={name}={path}" for name, path in manifest["externs"]]
    return median([timed(lambda: subprocess.run(command, check=True, capture_output=True)) for _ in range(runs)])


def start_to_kernel_info(runs=15):
    def once():
        directory = tempfile.mkdtemp()
        file, _ = write_connection_file(f"{directory}/c.json", key=uuid.uuid4().hex.encode())
        client = BlockingKernelClient(connection_file=file)
        client.load_connection_file()
        client.context.setsockopt(zmq.RECONNECT_IVL, 2)
        client.start_channels(hb=False, iopub=False, stdin=False, control=False)
        before = time.perf_counter()
        process = subprocess.Popen([executable(), "kernel", "--connection-file", file])
        client.kernel_info()
        client.get_shell_msg(timeout=30)
        seconds = time.perf_counter() - before
        process.kill()
        process.wait()
        client.stop_channels()
        return seconds

    return median([once() for _ in range(runs)])


def first_run(tour, runs=5):
    def once():
        before = time.perf_counter()
        kernel = tour.start()
        kernel.ok(tour.RUN)
        seconds = time.perf_counter() - before
        kernel.close()
        return seconds

    return median([once() for _ in range(runs)])


def save_to_result(kernel, tour, wait=0.0, runs=15):
    seconds = []
    for _ in range(runs):
        tour.edit()
        # The person's way from the editor to the notebook.
        time.sleep(wait)
        seconds.append(timed(lambda: kernel.ok(tour.RUN)))
    return median(seconds)


def memory_of_reloads(kernel, tour, reloads=200):
    def value():
        return kernel.ok(tour.RUN + " --as json").json

    def settled():
        return psutil.Process(kernel.worker().pid).memory_info().rss

    expected, before = value(), settled()
    for _ in range(reloads):
        tour.edit()
        assert value() == expected, "a reload changed a value"
    return (settled() - before) / reloads / 1e6


def rust(bench, *patterns):
    """Numbers that a Rust benchmark prints."""
    done = subprocess.run(["cargo", "bench", "-q", "-p", "brooklet", "--bench", bench], cwd=REPOSITORY, text=True, capture_output=True)
    found = [re.search(it, done.stdout) for it in patterns]
    assert all(found), done.stdout + done.stderr
    return [float(it[1]) for it in found]


def measure(reloads, rows):
    """Fills the rows: what the page calls it -> what was measured."""
    tour = Tour()

    def row(what, value):
        rows[what] = value
        print(f"{what}: {value}", flush=True)

    row("kernel start → `kernel_info_reply`", f"{start_to_kernel_info() * 1e3:.0f} ms")
    row("first `%run` of the tour after kernel start, image built", f"{first_run(tour):.1f} s")
    kernel = tour.start()
    kernel.ok(tour.RUN)
    row("`%run` with nothing changed, round trip of a real client", f"{median([timed(lambda: kernel.ok(tour.RUN)) for _ in range(200)]) * 1e3:.1f} ms")
    alone = type_check(tour)
    print(f"rustc --emit=metadata of the tour's files alone: {alone:.3f} s")
    edited = save_to_result(kernel, tour)
    row("save → result shown, one function edited, as a multiple of `rustc --emit=metadata` of the user's files alone", f"{edited / alone:.1f} × (of {alone:.2f} s)")
    row("the same, in seconds", f"{edited:.2f} s")
    row("Shift+Enter → result, when the save was 2.5 s earlier", f"{save_to_result(kernel, tour, 2.5, 9) * 1e3:.0f} ms")
    row(f"memory of the worker, per reload, over {reloads} reloads", f"{memory_of_reloads(kernel, tour, reloads):.2f} MB")
    kernel.ok("1 + 1", timeout=300)
    kernel.ok(POLARS_CELL, timeout=300)
    row("Rust cell `1 + 1`, after warm-up", f"{median([timed(lambda: kernel.ok('1 + 1')) for _ in range(9)]):.2f} s")
    row("Rust cell that uses polars, after warm-up", f"{median([timed(lambda: kernel.ok(POLARS_CELL)) for _ in range(9)]):.2f} s")
    kernel.close()
    row("driver overhead per node, chain of 5,000 integer functions", f"{rust('chain', r'per node: ([0-9.]+) µs')[0]:.1f} µs")
    whole, edit = rust("graph", r"all at once: +([0-9.]+) ms", r"after an edit of one: +([0-9.]+) ms")
    row("text → graph, 5,000 functions of ten lines in 50 files", f"{whole:.0f} ms")
    row("the same after an edit of one file", f"{edit:.0f} ms")


def cold(rows):
    """Builds from empty caches to the first result of the tour; where the time goes, by family of crates."""
    directory = pathlib.Path(tempfile.mkdtemp())
    environment = {**os.environ, "CARGO_TARGET_DIR": str(directory / "target"), "BROOKLET_CACHE": str(directory / "cache")}
    build = ["cargo", "build", "--release", "--timings"]
    before = time.perf_counter()
    subprocess.run(build, cwd=REPOSITORY, env=environment, check=True)
    built = time.perf_counter()
    run = [str(directory / "target" / "release" / "brooklet"), "run", str(REPOSITORY / "notebooks" / "tour.ipynb"), "--output-dir", str(directory / "out")]
    subprocess.run(run, cwd=directory, env=environment, check=True, stdout=subprocess.DEVNULL)
    ended = time.perf_counter()
    rows["cold build to first result of the tour, empty caches"] = f"{(ended - before) / 60:.1f} min (executable {(built - before) / 60:.1f}, image and tour {(ended - built) / 60:.1f})"
    report = (directory / "target" / "cargo-timings" / "cargo-timing.html").read_text()
    shutil.rmtree(directory)
    return families(json.loads(re.search(r"UNIT_DATA = (\[.*?\]);", report, re.DOTALL)[1]))


def families(units):
    """Rows of where a build's time goes: family of crates, how many units, the sum of their times."""
    times = {}
    for unit in units:
        name = unit["name"].replace("-", "_")
        family = next((label for prefix, label in FAMILIES if name.startswith(prefix)), "everything else")
        times.setdefault(family, []).append(unit["duration"] / 60)
    ordered = sorted(times.items(), key=lambda it: -sum(it[1]))
    return [f"| {family} | {len(parts)} | {sum(parts):.1f} min |" for family, parts in ordered]


POLARS_CELL = 'df!("a" => [1i64, 2, 3])?.lazy().select([col("a").sum()]).collect()?'
FAMILIES = [("polars", "polars"), ("ra_ap", "rust-analyzer, for evcxr"), ("evcxr", "evcxr"), ("brooklet", "Brooklet itself"), ("zmq", "zmq"), ("zeromq", "zmq")]


def filled(text, rows, build):
    """The page with the last column of its table filled in, and with the rows of a cold build."""
    lines = text.splitlines()
    if build:
        heading = lines.index("| crates | number | CPU, summed |")
        end = next(it for it in range(heading, len(lines) + 1) if it == len(lines) or not lines[it].startswith("|"))
        lines[heading + 2 : end] = build
    for index, line in enumerate(lines):
        cells = line.split("|")
        if len(cells) == 5 and cells[1].strip() in rows:
            cells[3] = f" {rows[cells[1].strip()]} "
            lines[index] = "|".join(cells)
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put the numbers into docs/performance.md")
    parser.add_argument("--cold", action="store_true", help="also build everything from empty caches")
    parser.add_argument("--reloads", type=int, default=200)
    options = parser.parse_args()
    prefix = tempfile.mkdtemp()
    subprocess.run([executable(), "install", "--prefix", prefix], check=True, capture_output=True)
    os.environ["JUPYTER_PATH"] = f"{prefix}/share/jupyter"
    rows = {}
    measure(options.reloads, rows)
    build = cold(rows) if options.cold else []
    page = filled(PAGE.read_text(), rows, build)
    print("\n" + "\n".join(it for it in page.splitlines() if it.startswith("|")))
    print(f"\n{os.cpu_count()} cores, {platform.system()} {platform.machine()}")
    if options.write:
        PAGE.write_text(page)


if __name__ == "__main__":
    main()
