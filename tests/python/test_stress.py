"""Whatever goes wrong in whatever order, the next value is right, and nothing is left at the end.

Faults are drawn at random for about a hundred seconds: nodes, cells and drops that go wrong, and kills and
stops of each process at any moment, with edits and interrupts between them. After each fault a node must give
its right value within five seconds, after two interrupts at most. `BROOKLET_SEED` repeats a run as far as the
clock allows; the story of the faults stands in every failure.
"""

import contextlib
import os
import pathlib
import random
import shutil
import tempfile
import time
import uuid

import psutil
import pytest

from brooklet_client import Kernel, cells_directories, session_directories

SECONDS = 100
# A node gives its value within so many seconds of an interrupt, or of its start.
SOON = 5
# When a request that has no end is interrupted, in seconds from its start.
PRESSES = (1.0, 1.5)

FLOW = r"""
unsafe extern "C" {
    fn close(fd: i32) -> i32;
    fn fork() -> i32;
    fn raise(signal: i32) -> i32;
    fn pause() -> i32;
    fn write(fd: i32, bytes: *const u8, count: usize) -> isize;
}

fn to_sockets(bytes: &[u8]) {
    for number in 3..256 {
        let link = std::fs::read_link(format!("/proc/self/fd/{number}"));
        if link.is_ok_and(|it| it.to_string_lossy().starts_with("socket:")) {
            unsafe { write(number, bytes.as_ptr(), bytes.len()); }
        }
    }
}

/// Another number is another type, so that values of the old one are dropped.
pub const MARK: i64 = NUMBER;
pub struct Dropped(pub i64);
impl Drop for Dropped {
    fn drop(&mut self) {
        match self.0 {
            1 => panic!("dropped"),
            2 => loop { std::hint::black_box(0); },
            3 => std::process::abort(),
            _ => {}
        }
    }
}
pub struct Shown(pub i64);
impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            1 => panic!("shown"),
            2 => loop { std::hint::black_box(0); },
            3 => std::process::abort(),
            _ => f.write_str("shown"),
        }
    }
}

pub fn fine(x: i64) -> i64 { x + NUMBER }
pub fn panics(fine: i64) -> i64 { if fine > 0 { panic!("boom") } fine }
pub fn aborts(fine: i64) -> i64 { if fine > 0 { std::process::abort() } fine }
pub fn exits(fine: i64) -> i64 { if fine > 0 { std::process::exit(7) } fine }
pub fn overflows(fine: i64) -> i64 { fn deep(n: i64) -> i64 { if n < 0 { 0 } else { 1 + deep(std::hint::black_box(n + 1)) } } deep(fine) }
pub fn endless(fine: i64) -> i64 { let mut n = fine; loop { n = std::hint::black_box(n) } }
pub fn endless_prints(fine: i64) -> i64 { if fine > 0 { loop { println!("and on"); std::thread::sleep(std::time::Duration::from_millis(1)) } } fine }
pub fn stops(fine: i64) -> i64 { unsafe { raise(19); } fine }
pub fn closes_three(fine: i64) -> i64 { unsafe { close(3); } fine }
pub fn closes_all(fine: i64) -> i64 { for fd in 3..256 { unsafe { close(fd); } } fine }
pub fn talks_nonsense(fine: i64) -> i64 { to_sockets(&[0xff; 64]); fine }
pub fn forks_and_aborts(fine: i64) -> i64 { if fine > 0 { unsafe { if fork() == 0 { loop { pause(); } } } std::process::abort() } fine }
pub fn panicking_drop(fine: i64) -> Dropped { Dropped(if fine > 0 { 1 } else { 0 }) }
pub fn endless_drop(fine: i64) -> Dropped { Dropped(if fine > 0 { 2 } else { 0 }) }
pub fn aborting_drop(fine: i64) -> Dropped { Dropped(if fine > 0 { 3 } else { 0 }) }
pub fn panicking_debug(fine: i64) -> Shown { Shown(if fine > 0 { 1 } else { 0 }) }
pub fn endless_debug(fine: i64) -> Shown { Shown(if fine > 0 { 2 } else { 0 }) }
pub fn aborting_debug(fine: i64) -> Shown { Shown(if fine > 0 { 3 } else { 0 }) }
"""

NODES = [
    "panics", "aborts", "exits", "overflows", "endless", "endless_prints", "stops", "closes_three", "closes_all",
    "talks_nonsense", "forks_and_aborts", "panicking_debug", "endless_debug", "aborting_debug",
]
DROPS = ["panicking_drop", "endless_drop", "aborting_drop"]
CELLS = [
    'panic!("boom")', "std::process::abort()", "std::process::exit(1)", "loop { std::hint::black_box(1); }",
    '"x".parse::<i64>()?', "no_such_name", "fine + 1", "endless + 1", '{ let q = 3; panic!("boom {q}") }',
    'println!("EVCXR_VARIABLE_CHANGED_TYPE:x")', 'println!("EVCXR_BEGIN_CONTENT text/html")', 'println!("EVCXR_ERROR_OCCURRED")',
]
REQUESTS = ["%run fine", "fine", "%why fine", "%check fine", "fine + 1", "1 + 1", "%run endless", "%restart"]


class Notebook:
    """A kernel with its files, the value that is right, and the story so far."""

    def __init__(self, kernel, chance):
        self.kernel = kernel
        self.chance = chance
        self.number = 1
        self.story = []
        kernel.write("flow.rs", FLOW.replace("NUMBER", "1"))
        kernel.ok("%watch flow.rs")
        kernel.ok("%input x=1000")
        self.right()

    def right(self):
        """The plain node gives its value in time; what else may be wrong is over."""
        reply = self.kernel.execute("%run fine --as json", timeout=60, presses=(2 * SOON, 2 * SOON + 0.5))
        what = f"{self.tale()}: {reply.describe()}"
        assert reply.status == "ok" and reply.json == {"fine": 1000 + self.number}, what
        assert reply.pressed == 0 and reply.seconds < SOON, f"{reply.seconds:.1f} s, {what}"

    def edit(self):
        self.number += 1
        self.kernel.write("flow.rs", FLOW.replace("NUMBER", str(self.number)))

    def request(self, code, action=lambda: None):
        """Executes what may fail in any way, but must end after two interrupts at most."""
        # A cell that was compiled before would not be compiled again.
        code = code if code.startswith("%") else f"{code} // {uuid.UUID(int=self.chance.getrandbits(128)).hex}"
        request = self.kernel.start(code)
        action()
        started = time.monotonic()
        # All that has an end comes to it by itself. Cells may have to wait for their process to start first.
        wait = 0 if "loop" in code or "endless" in code else SOON
        wait += 0 if code.startswith("%") else SOON
        presses = [it + wait for it in PRESSES]
        try:
            reply = self.kernel.finish(request, code, timeout=presses[-1] + 2 * SOON, presses=presses)
        except AssertionError as error:
            raise AssertionError(f"{self.tale()}: {error}") from None
        if reply.pressed == 2:
            assert time.monotonic() - started < presses[-1] + SOON, f"{self.tale()}: {reply.describe()}"
        if reply.error:
            assert "bug in Brooklet" not in str(reply.error), f"{self.tale()}: {reply.error}"
            # A worker's death is never a failure of the build.
            assert "worker" not in reply.error.value or reply.error.name != "BuildError", f"{self.tale()}: {reply.error}"
        return reply

    def tale(self):
        return "; ".join(self.story[-12:])


# The faults. Each leaves it to `right` to say whether all is well.


def a_node(notebook):
    node = notebook.chance.choice(NODES)
    notebook.story.append(f"%run {node}")
    notebook.request(f"%run {node}")


def a_drop(notebook):
    node = notebook.chance.choice(DROPS)
    notebook.story.append(f"%run {node}, edit")
    notebook.request(f"%run {node}")
    notebook.edit()
    # The drop may end the worker while this runs, which is told; then the next is right.
    notebook.request("%run fine")
    if node == "endless_drop":
        # It holds up nothing, which is looked at first, but would take a processor from all that follows.
        notebook.right()
        notebook.kernel.ok("%restart")
    if node == "aborting_drop":
        notebook.request("%run fine")


def a_cell(notebook):
    cell = notebook.chance.choice(CELLS)
    notebook.story.append(cell)
    notebook.request(cell)


def a_kill(notebook):
    """Kills one process before, or at any moment of, a request."""
    victim, request = notebook.chance.choice(["worker", "cells", "rustc"]), notebook.chance.choice(REQUESTS)
    edited, delay = notebook.chance.random() < 0.6, notebook.chance.choice([0, notebook.chance.uniform(0, 0.6)])
    notebook.story.append(f"kill {victim} {delay:.2f} s into {request}{' after an edit' if edited else ''}")
    if edited:
        notebook.edit()

    def kill():
        time.sleep(delay)
        for process in found(notebook.kernel, victim):
            with contextlib.suppress(psutil.Error):
                process.kill()

    if delay == 0:
        kill()
        notebook.request(request)
    else:
        notebook.request(request, kill)


def a_stop(notebook):
    """Stops the worker or the process of the cells, before or during a request."""
    victim, request = notebook.chance.choice(["worker", "cells"]), notebook.chance.choice(REQUESTS)
    delay = notebook.chance.choice([0, notebook.chance.uniform(0, 0.4)])
    notebook.story.append(f"stop {victim} {delay:.2f} s into {request}")

    def stop():
        time.sleep(delay)
        for process in found(notebook.kernel, victim):
            with contextlib.suppress(psutil.Error):
                process.suspend()

    notebook.request(request, stop)


def an_interrupt(notebook):
    request, delay = notebook.chance.choice(REQUESTS), notebook.chance.uniform(0, 0.5)
    notebook.story.append(f"interrupt {delay:.2f} s into {request}")
    if notebook.chance.random() < 0.5:
        notebook.edit()

    def press():
        time.sleep(delay)
        notebook.kernel.interrupt()

    notebook.request(request, press)


def a_broken_edit(notebook):
    notebook.story.append("a broken edit")
    path = notebook.kernel.directory / "flow.rs"
    text = path.read_text()
    path.write_text(text[: notebook.chance.randrange(len(text) // 2, len(text))] + "\npub fn ")
    reply = notebook.request("%run fine")
    assert reply.status == "error" and reply.error.name != "WorkerDied", f"{notebook.tale()}: {reply.describe()}"
    path.write_text(text)


def found(kernel, victim):
    return kernel.compilers() if victim == "rustc" else kernel.processes(victim)


FAULTS = [a_node, a_node, a_drop, a_cell, a_kill, a_kill, a_stop, an_interrupt, a_broken_edit]


@pytest.fixture
def short():
    """A directory whose path leaves room for the name of a socket."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bk-", dir="/tmp"))
    yield directory
    shutil.rmtree(directory)


def test_after_any_faults_values_are_right_and_nothing_is_left(tmp_path, short):
    seed = int(os.environ.get("BROOKLET_SEED", random.randrange(1 << 32)))
    print(f"BROOKLET_SEED={seed}")
    sessions, cells = session_directories(), cells_directories()
    kernel = Kernel(tmp_path, transport="ipc", ip=str(short / "k"))
    try:
        notebook = Notebook(kernel, random.Random(seed))
        notebook.story.append(f"seed {seed}")
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            notebook.chance.choice(FAULTS)(notebook)
            notebook.right()
            if notebook.chance.random() < 0.3:
                notebook.edit()
                notebook.right()
        # The process of the cells may still stand where the last stop has left it.
        notebook.request("1 + 1")
        assert kernel.ok("1 + 1").result == "2"
        assert len(notebook.story) > 15, f"only {notebook.story} in {SECONDS} s"
        kernel.client.shutdown()
        # Not by the manager, which would tidy up behind the kernel.
        kernel.wait_until(lambda: kernel.manager.provisioner.process.poll() is not None, "the end of the kernel", timeout=10)
        kernel.assert_no_process_left()
        assert session_directories() - sessions == set()
        assert cells_directories() - cells == set()
        assert list(short.iterdir()) == []
        # Warnings of drops and last prints of the killed may come between two cells; nothing else may.
        assert all(kind == "stream" for kind, _ in kernel.stray), kernel.stray
    finally:
        kernel.stray.clear()
        kernel.close()
        kernel.assert_no_process_left()
