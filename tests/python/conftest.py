"""Fixtures: kernels of the executable under test, in directories of their own.

`tests/system/python.rs` starts pytest and says by environment where the executable and the repository
are. The kernel is registered in a temporary prefix, so neither the user's kernels nor theirs are touched.
"""

import os
import pathlib
import subprocess

import pytest

pytest.register_assert_rewrite("brooklet_client")

from brooklet_client import Kernel  # noqa: E402

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def executable():
    path = os.environ.get("BROOKLET") or REPOSITORY / "target" / "release" / "brooklet"
    if not pathlib.Path(path).exists():
        pytest.exit(f"{path} is not there: run these tests by `cargo test --release --workspace`", 3)
    return str(path)


@pytest.fixture(scope="session", autouse=True)
def registered(tmp_path_factory):
    """Registers the kernel as a user would, and makes Jupyter find it there."""
    prefix = tmp_path_factory.mktemp("prefix")
    subprocess.run([executable(), "install", "--prefix", prefix], check=True)
    os.environ["JUPYTER_PATH"] = str(prefix / "share" / "jupyter")
    # Histories and settings of whoever runs the tests stay out of it.
    for name in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "XDG_DATA_HOME"):
        os.environ[name] = str(tmp_path_factory.mktemp(name.lower()))
    return prefix


@pytest.fixture(scope="module")
def kernel(tmp_path_factory, request):
    """One kernel for the tests of a file, in a directory of its own; each test watches its own files."""
    kernel = Kernel(tmp_path_factory.mktemp(request.module.__name__))
    yield kernel
    kernel.close()


@pytest.fixture
def notebook(kernel):
    """The shared kernel with nothing watched and no inputs."""
    kernel.forget()
    return kernel


@pytest.fixture
def fresh(tmp_path):
    """A kernel of the test's own, for tests that break it. All its processes must end with it."""
    kernel = Kernel(tmp_path)
    yield kernel
    kernel.close()
    kernel.assert_no_process_left()
