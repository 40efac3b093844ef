"""Nothing hangs: what stops, dies, loops or lies beside the kernel is told in time, and the next value is right.

test_faults.py has the faults of a node's own code. These are of all that stands around it: code of the user's
that runs outside of a step, processes that live and do not answer, descriptors that outlive their process,
what is killed from outside, and what is fed to the kernel to choke on.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time
import uuid

import nbformat
import psutil
import pytest

from brooklet_client import Kernel, cells_directories, session_directories
from conftest import executable

# Within so many seconds a fault is told, or a press is answered, with a margin for a busy machine.
SOON = 6
# When a test that expects a loop presses, in seconds from the start of the cell.
TWICE = (1.0, 1.5)

PLAIN = """
pub fn fine(x: i64) -> i64 { x + 1 }
"""
CELLS = ["%run fine", "fine", "%why fine", "%check fine", "fine + 1"]


def unlike_any(cell):
    """A Rust cell that has not been compiled yet; magics and names as they are."""
    return f"{cell} // {uuid.uuid4().hex}" if "+" in cell else cell


def plain_node(kernel, more=""):
    kernel.watch(PLAIN + more)
    kernel.ok("%input x=1")
    assert kernel.run("fine") == {"fine": 2}


def right(kernel):
    """A node gives its value, soon and undisturbed."""
    reply = kernel.ok("%run fine --as json", timeout=60)
    assert reply.json == {"fine": 2} and reply.seconds < SOON, reply.describe()


def holds(reply, cell):
    """The answer to one of `CELLS` is the right one."""
    assert reply.status == "ok", reply.describe()
    if cell.startswith("%why"):
        assert reply.text.strip()
    elif not cell.startswith("%check"):
        assert reply.result == ("3" if "+" in cell else "2"), reply.describe()


def heard(kernel, pattern):
    """Waits for a warning that comes when it comes, maybe after the cell that caused it."""
    said = []

    def look():
        said.append(kernel.ok("%run fine").stderr)
        # What came between two cells belongs to the one before.
        said.extend(content["text"] for kind, content in kernel.stray if kind == "stream")
        kernel.stray[:] = [it for it in kernel.stray if it[0] != "stream"]
        return re.search(pattern, "".join(said), re.DOTALL)

    kernel.wait_until(look, f"{pattern} on stderr", timeout=30)
    return "".join(said)


@contextlib.contextmanager
def killing(pick):
    """Kills all that `pick` finds, again and again; the list of what it has killed."""
    killed, ended = [], threading.Event()

    def kill():
        while not ended.is_set():
            for process in pick():
                with contextlib.suppress(psutil.Error):
                    process.kill()
                    killed.append(process.pid)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        ended.set()
        thread.join()


def escaped(kernel):
    """Processes that a node started and that have left the kernel's own terminal session."""
    own, found = os.getsid(kernel.pid), []
    for process in kernel.processes():
        with contextlib.suppress(OSError):
            if os.getsid(process.pid) != own:
                found.append(process)
    return found


@pytest.fixture
def without_escaped(notebook):
    """The shared kernel; what nodes let loose is caught at the end, so that it disturbs no other test."""
    yield notebook
    loose = escaped(notebook)
    for process in loose:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(loose, timeout=5)


# A process that lives and does not answer


@pytest.mark.parametrize("cell", CELLS)
def test_a_stopped_worker_is_resumed_with_a_note(notebook, cell):
    plain_node(notebook)
    worker = notebook.worker()
    if "+" in cell:
        notebook.ok(unlike_any(cell))
    notebook.stop(worker)
    reply = notebook.execute(unlike_any(cell), timeout=60)
    holds(reply, cell)
    # A cell is compiled as well, by another process.
    assert reply.seconds < (20 if "+" in cell else SOON)
    assert re.search("stopp|suspend|resum|continu", reply.stderr), reply.describe()
    right(notebook)


def test_a_stopped_worker_takes_a_new_graph_when_it_is_resumed(notebook):
    plain_node(notebook)
    notebook.stop(notebook.worker())
    notebook.write("flow.rs", PLAIN.replace("x + 1", "x + 10"))
    reply = notebook.ok("%run fine --as json", timeout=60)
    assert reply.json == {"fine": 11} and reply.seconds < SOON + 2
    assert reply.stderr


def test_questions_are_answered_while_the_worker_is_stopped(notebook):
    plain_node(notebook)
    worker = notebook.worker()
    notebook.stop(worker)
    try:
        assert "fine" in notebook.complete("%run fi")["matches"]
        assert notebook.inspect("fine", 2)["found"]
        assert notebook.ok("%nodes", timeout=30).text
    finally:
        with contextlib.suppress(psutil.Error):
            worker.resume()
    right(notebook)


def test_a_stopped_worker_that_is_interrupted_ends_the_cell(notebook):
    plain_node(notebook, "pub fn stops(fine: i64) -> i64 { println!(\"at it\"); loop { std::hint::black_box(fine); } }\n")
    request = notebook.start("%run stops")
    stopped = []

    def stop(message):
        if message["header"]["msg_type"] == "stream" and not stopped:
            stopped.append(notebook.worker())
            stopped[0].suspend()
            notebook.interrupt()
            notebook.interrupt()

    reply = notebook.finish(request, "%run stops", timeout=20, on_message=stop)
    assert stopped and reply.error.name in ("Interrupted", "WorkerDied") and reply.seconds < 2 * SOON
    right(notebook)


def test_a_stopped_process_of_cells_ends_at_an_interrupt_if_not_before(notebook):
    plain_node(notebook)
    assert notebook.ok("fine + 1").result == "3"
    for process in notebook.processes("cells"):
        process.suspend()
    reply = notebook.execute(unlike_any("fine + 1"), timeout=60, presses=(4.0, 4.5))
    if reply.status == "ok":
        assert reply.result == "3"
    else:
        assert reply.error.name in ("Interrupted", "CellsCrashed"), reply.error
    assert reply.seconds < 4.5 + SOON
    right(notebook)
    assert notebook.ok(unlike_any("fine + 1"), timeout=60).result == "3"


# Code of the user's that runs outside of a step

WAYS = {
    "panics": 'panic!("on purpose")',
    "loops": "loop { std::hint::black_box(0); }",
    "recurses": "fn deep(n: u64) -> u64 { if n == u64::MAX { 0 } else { 1 + deep(std::hint::black_box(n + 1)) } } std::hint::black_box(deep(0));",
    "aborts": "std::process::abort()",
}
# trait -> (its implementation for TYPE, which goes wrong by WAY; the cell that calls it, for NODE)
TRAITS = {
    "debug": (
        "impl std::fmt::Debug for TYPE { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { WAY(); f.write_str(\"TYPE\") } }",
        "%run NODE",
    ),
    "render": (
        "impl Render for TYPE { fn render(&self) -> MimeBundle { WAY(); MimeBundle::text(\"TYPE\") } }",
        "%run NODE",
    ),
    "serialize": (
        "impl serde::Serialize for TYPE { fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> { WAY(); to.serialize_i64(self.0) } }",
        "%run NODE --as json",
    ),
    "clone": (
        "impl Clone for TYPE { fn clone(&self) -> TYPE { WAY(); TYPE(self.0) } }\npub fn takes_NODE(NODE: TYPE) -> i64 { NODE.0 }",
        "%run takes_NODE",
    ),
    "deserialize": (
        "impl<'de> serde::Deserialize<'de> for TYPE { fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<TYPE, D::Error> { WAY(); <i64 as serde::Deserialize<'de>>::deserialize(from).map(TYPE) } }\n"
        "pub fn takes_NODE(given_NODE: &TYPE) -> i64 { given_NODE.0 }",
        "%run takes_NODE --input given_NODE=1",
    ),
}


def type_name(node):
    return "".join(it.capitalize() for it in node.split("_"))


def ill_behaved():
    """One type for each trait and way, with a node that makes it."""
    parts = [PLAIN] + [f"fn {name}() {{ {body} }}" for name, body in WAYS.items()]
    for trait, (text, _) in TRAITS.items():
        for way in WAYS:
            node = f"{trait}_{way}"
            text_of = text.replace("TYPE", type_name(node)).replace("NODE", node).replace("WAY", way)
            parts.append(f"pub struct {type_name(node)}(pub i64);\n{text_of}")
            parts.append(f"pub fn {node}(x: i64) -> {type_name(node)} {{ {type_name(node)}(x) }}")
    return "\n".join(parts) + "\n"


@pytest.fixture
def ill(notebook):
    notebook.write("ill.rs", ill_behaved())
    notebook.ok("%watch ill.rs")
    notebook.ok("%input x=1")
    right(notebook)
    return notebook


@pytest.mark.parametrize("trait", TRAITS)
def test_a_panic_outside_of_a_step_names_node_and_type(ill, trait):
    node = f"{trait}_panics"
    error = ill.fails(TRAITS[trait][1].replace("NODE", node), "Panic", timeout=60)
    told = error.value + error.traceback
    assert "on purpose" in told and node in told, error
    # Where a value is cloned for a parameter the step panics, and the place says the rest.
    assert trait == "clone" or type_name(node) in told, error
    assert "bug in Brooklet" not in told
    right(ill)


@pytest.mark.parametrize("trait", TRAITS)
def test_a_loop_outside_of_a_step_ends_at_the_second_interrupt(ill, trait):
    cell = TRAITS[trait][1].replace("NODE", f"{trait}_loops")
    reply = ill.execute(cell, timeout=60, presses=TWICE)
    assert reply.status == "error" and reply.error.name == "Interrupted", reply.describe()
    assert reply.seconds < TWICE[-1] + SOON
    right(ill)


@pytest.mark.parametrize("way", ["recurses", "aborts"])
@pytest.mark.parametrize("trait", TRAITS)
def test_an_abort_outside_of_a_step_is_told_once(ill, trait, way):
    cell = TRAITS[trait][1].replace("NODE", f"{trait}_{way}")
    error = ill.fails(cell, "WorkerDied", timeout=60)
    assert "SIGABRT" in error.value or "SIGSEGV" in error.value, error
    right(ill)


def test_comparing_in_a_cell_can_panic_and_loop(notebook):
    comparing = "impl PartialEq for TYPE { fn eq(&self, other: &TYPE) -> bool { WAY(); self.0 == other.0 } }"
    text = "".join(f"fn {name}() {{ {WAYS[name]} }}\n" for name in ("panics", "loops"))
    for way in ("panics", "loops"):
        name = type_name(f"equal_{way}")
        text += f"pub struct {name}(pub i64);\n{comparing.replace('TYPE', name).replace('WAY', way)}\n"
        text += f"pub fn equal_{way}(x: i64) -> {name} {{ {name}(x) }}\n"
    plain_node(notebook, text)
    assert "on purpose" in notebook.fails("equal_panics == equal_panics", "Panic").value
    request = notebook.start("println!(\"at it\"); equal_loops == equal_loops")
    pressed = []

    def press(message):
        if message["header"]["msg_type"] == "stream" and "at it" in message["content"]["text"] and not pressed:
            pressed.append(time.monotonic())
            notebook.interrupt()
            notebook.interrupt()

    reply = notebook.finish(request, "println!(\"at it\"); equal_loops == equal_loops", timeout=60, on_message=press)
    assert reply.error.name == "Interrupted" and time.monotonic() - pressed[0] < SOON
    right(notebook)


# Values that are dropped: a drop has a thread of its own


def dropping(way, mark):
    """A value whose drop goes wrong. `mark` is part of a type, so another one makes all values be dropped."""
    return f"""
fn way() {{ {WAYS[way]} }}
pub const MARK: i64 = {mark};
pub struct Doomed(pub i64);
impl Drop for Doomed {{ fn drop(&mut self) {{ if self.0 > 0 {{ way(); }} }} }}
pub fn doomed(x: i64) -> Doomed {{ Doomed(x) }}
"""


def drop_by_an_edit(kernel, way):
    plain_node(kernel, dropping(way, 1))
    kernel.ok("%run doomed")
    kernel.write("flow.rs", PLAIN + dropping(way, 2))


def test_a_drop_that_loops_holds_up_nothing(notebook):
    drop_by_an_edit(notebook, "loops")
    worker = notebook.worker().pid
    right(notebook)
    right(notebook)
    assert notebook.ok("%why fine", timeout=30).text
    assert notebook.worker().pid == worker
    # It would go on to take a processor from the other tests.
    notebook.ok("%restart")
    right(notebook)


def test_a_drop_that_panics_is_a_warning_with_node_and_type(notebook):
    drop_by_an_edit(notebook, "panics")
    worker = notebook.worker().pid
    said = heard(notebook, "on purpose")
    assert "`doomed`" in said and "Doomed" in said, said
    assert "bug in Brooklet" not in said
    assert notebook.worker().pid == worker
    right(notebook)


@pytest.mark.parametrize("way", ["aborts", "recurses"])
def test_a_drop_that_aborts_costs_one_cell_at_most(notebook, way):
    drop_by_an_edit(notebook, way)
    reply = notebook.execute("%run fine --as json", timeout=60)
    if reply.status == "ok":
        assert reply.json == {"fine": 2}
    else:
        assert reply.error.name == "WorkerDied", reply.error
        assert "doomed" in str(reply.error)
    # The drop may come after the cell: then the next one has a new worker, which it says.
    reply = notebook.execute("%run fine --as json", timeout=60)
    assert reply.status == "ok" or reply.error.name == "WorkerDied", reply.describe()
    right(notebook)


# Descriptors that outlive the worker, and a link that is not heard

FOREIGN = PLAIN + r"""
unsafe extern "C" {
    fn close(fd: i32) -> i32;
    fn fork() -> i32;
    fn setsid() -> i32;
    fn raise(signal: i32) -> i32;
    fn pause() -> i32;
    fn write(fd: i32, bytes: *const u8, count: usize) -> isize;
}

/// A child that keeps all descriptors; with `away` it leaves the worker's group too.
fn child(away: bool) {
    unsafe {
        if fork() == 0 {
            if away {
                setsid();
            }
            loop {
                pause();
            }
        }
    }
}

/// Writes into every socket of the process, of which one is the protocol's.
fn to_sockets(bytes: &[u8]) {
    for number in 3..256 {
        let link = std::fs::read_link(format!("/proc/self/fd/{number}"));
        if link.is_ok_and(|it| it.to_string_lossy().starts_with("socket:")) {
            unsafe { write(number, bytes.as_ptr(), bytes.len()); }
        }
    }
}

pub fn child_outlives_an_abort(fine: i64) -> i64 { if fine > 0 { child(true); std::process::abort() } fine }
pub fn child_in_the_group(fine: i64) -> i64 { if fine > 0 { child(false); std::process::abort() } fine }
pub fn server(fine: i64) -> i64 { std::process::Command::new("setsid").args(["sleep", "600"]).spawn().unwrap(); fine }
pub fn aborts_beside_a_server(server: i64) -> i64 { if server > 0 { std::process::abort() } server }
pub fn closes_three(fine: i64) -> i64 { unsafe { close(3); } fine }
pub fn closes_all(fine: i64) -> i64 { for fd in 3..256 { unsafe { close(fd); } } fine }
pub fn closes_all_and_loops(fine: i64) -> i64 { for fd in 0..256 { unsafe { close(fd); } } loop { std::hint::black_box(fine); } }
pub fn announces_too_much(fine: i64) -> i64 { to_sockets(&[0xff; 64]); fine }
pub fn talks_nonsense(fine: i64) -> i64 { to_sockets(b"\x05\0\0\0hello"); fine }
pub fn leaves_half_a_word(fine: i64) -> i64 { to_sockets(b"\x07"); fine }
pub fn stops(fine: i64) -> i64 { unsafe { raise(19); } fine }
/// The child comes back first, with another value.
pub fn forked(fine: i64) -> i64 {
    if unsafe { fork() } == 0 { return fine + 1000; }
    std::thread::sleep(std::time::Duration::from_millis(200));
    fine
}
pub fn forked_and_panics(fine: i64) -> i64 {
    if unsafe { fork() } == 0 { panic!("the child") }
    std::thread::sleep(std::time::Duration::from_millis(200));
    fine
}
pub struct Payload;
impl Drop for Payload { fn drop(&mut self) { panic!("in the payload's drop") } }
pub fn panics_twice(fine: i64) -> i64 { if fine > 0 { std::panic::panic_any(Payload) } fine }
pub fn large(fine: i64) -> String { "x".repeat(120_000_000 * fine as usize / 2) }
pub struct Endless;
impl std::fmt::Debug for Endless {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { loop { f.write_str("again ")?; } }
}
pub fn endless(fine: i64) -> Endless { let _ = fine; Endless }
"""


@pytest.fixture
def foreign(without_escaped):
    without_escaped.watch(FOREIGN)
    without_escaped.ok("%input x=1")
    right(without_escaped)
    return without_escaped


@pytest.mark.parametrize("node", ["child_outlives_an_abort", "child_in_the_group"])
def test_a_dead_worker_is_dead_whoever_keeps_its_pipes(foreign, node):
    worker = foreign.worker().pid
    reply = foreign.execute(f"%run {node}", timeout=60)
    assert reply.error.name == "WorkerDied" and "SIGABRT" in reply.error.value and node in reply.error.value
    assert reply.seconds < SOON
    right(foreign)
    kept = {it.pid for it in foreign.processes("worker")} - {it.pid for it in escaped(foreign)}
    assert len(kept) == 1 and worker not in kept


def test_a_server_that_a_node_started_keeps_nothing_waiting(foreign):
    reply = foreign.ok("%run server --as json", timeout=60)
    assert reply.json == {"server": 2} and reply.seconds < SOON
    right(foreign)
    reply = foreign.execute("%run aborts_beside_a_server", timeout=60)
    assert reply.error.name == "WorkerDied" and reply.seconds < SOON
    right(foreign)


@pytest.mark.parametrize("node", [
    "closes_three", "closes_all", "closes_all_and_loops", "announces_too_much", "talks_nonsense", "leaves_half_a_word",
])
def test_a_link_that_is_not_heard_is_told_without_an_interrupt(foreign, node):
    reply = foreign.execute(f"%run {node} --as json", timeout=60)
    if reply.status == "ok":
        assert reply.json == {node: 2} and node != "closes_all_and_loops"
    else:
        assert reply.error.name == "WorkerDied", reply.error
    assert reply.seconds < SOON, reply.describe()
    right(foreign)


@pytest.mark.parametrize("node", ["forked", "forked_and_panics"])
def test_a_forked_child_does_not_speak_for_the_worker(foreign, node):
    for number in range(3):
        foreign.ok(f"%input x={number + 1}")
        assert foreign.run(node, timeout=60) == {node: number + 2}


def test_a_panic_whose_payload_panics_is_one_panic_of_the_node(foreign):
    error = foreign.fails("%run panics_twice", "Panic")
    assert "panics_twice" in error.value and "bug in" not in str(error)
    right(foreign)
    assert "panics_twice" not in foreign.fails("%run child_in_the_group", "WorkerDied").value


def test_a_large_value_is_no_silence(foreign):
    worker = foreign.worker().pid
    reply = foreign.execute("%run large", timeout=60)
    assert reply.status == "ok" or reply.error.name == "TooLarge", reply.error
    right(foreign)
    assert foreign.worker().pid == worker


def test_a_debug_without_an_end_is_cut(foreign):
    reply = foreign.ok("%run endless", timeout=60)
    assert "again again" in reply.result and len(reply.result) < 1_000_000
    right(foreign)


def test_a_node_that_stops_its_own_process_goes_on(foreign):
    reply = foreign.ok("%run stops --as json", timeout=60)
    assert reply.json == {"stops": 2} and "stopped by a signal" in reply.stderr
    assert reply.seconds < SOON
    right(foreign)


# Watching


def test_a_directory_that_links_to_itself_is_watched_once(notebook):
    notebook.write("ring/one.rs", "pub fn one(x: i64) -> i64 { x }\n")
    for name in ("left", "right"):
        link = notebook.directory / "ring" / name
        if not link.is_symlink():
            link.symlink_to(notebook.directory / "ring")
    reply = notebook.ok("%watch ring", timeout=30)
    assert reply.seconds < 2 * SOON
    assert notebook.run("one", options="--input x=4", timeout=30) == {"one": 4}
    assert [it["name"] for it in notebook.ok("%nodes --as json").json] == ["one", "x"]


@pytest.fixture
def unreadable(tmp_path):
    """Things with a Rust file's name that are no files."""
    os.mkfifo(tmp_path / "pipe.rs")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket.rs"))
        (tmp_path / "zero.rs").symlink_to("/dev/zero")
        yield tmp_path


@pytest.mark.parametrize("name", ["pipe.rs", "socket.rs", "zero.rs"])
def test_what_is_no_file_is_refused_by_name(notebook, unreadable, name):
    plain_node(notebook)
    error = notebook.fails(f"%watch {unreadable / name}", timeout=30)
    assert name in error.value
    notebook.ok("%watch")
    right(notebook)


def test_a_directory_with_a_pipe_in_it_is_answered(notebook, unreadable):
    plain_node(notebook)
    notebook.write("beside/one.rs", "pub fn one(x: i64) -> i64 { x }\n")
    pipe = notebook.directory / "beside" / "pipe.rs"
    if not pipe.exists():
        os.mkfifo(pipe)
    reply = notebook.execute("%watch beside", timeout=30)
    assert reply.status == "ok" or "pipe.rs" in reply.error.value + reply.error.traceback
    assert reply.seconds < 2 * SOON
    notebook.execute("%unwatch beside", timeout=30)
    right(notebook)


def test_a_file_that_is_too_large_is_refused_kindly(notebook):
    plain_node(notebook)
    (notebook.directory / "large.rs").write_text("// much too much\n" * 400_000)
    error = notebook.fails("%watch large.rs\n%run fine", timeout=30)
    told = error.value + error.traceback
    assert "large.rs" in told and "MB" in told, error
    notebook.execute("%unwatch large.rs", timeout=30)
    right(notebook)


# Deep nesting

DEEP = 50_000


@pytest.mark.parametrize("cell", [
    "(" * DEEP,
    "(" * DEEP + "1" + ")" * DEEP,
    "[" * DEEP + "]" * DEEP,
    "%config a=" + "{a=" * DEEP + "1" + "}" * DEEP,
    "%input a=" + "[" * DEEP + "]" * DEEP,
    "%%transform deep\npub fn deep() -> i64 { " + "(" * DEEP + "1" + ")" * DEEP + " }",
], ids=["open", "closed", "brackets", "config", "input", "transform"])
def test_deep_nesting_is_refused_in_time(notebook, cell):
    plain_node(notebook)
    reply = notebook.execute(cell, timeout=60)
    assert reply.status == "error" and reply.seconds < 2 * SOON
    assert re.search("deep|nest", reply.error.value), reply.error.value[:500]
    assert len(reply.error.value) < 500 and len(reply.error.traceback) < 5_000
    right(notebook)


def test_a_file_that_is_nested_deeply_is_an_error_of_the_file(notebook):
    text = PLAIN + "pub fn deep() -> i64 { " + "(" * DEEP + "1" + ")" * DEEP + " }\n"
    notebook.write("flow.rs", text)
    notebook.execute("%watch flow.rs", timeout=60)
    error = notebook.fails("%run fine --input x=1", timeout=60)
    assert "flow.rs:4" in error.value + error.traceback and re.search("deep|nest", error.value)
    notebook.write("flow.rs", PLAIN)
    notebook.ok("%input x=1")
    right(notebook)


def test_questions_about_deep_code_are_answered(notebook):
    code = "(" * DEEP
    assert notebook.ask(notebook.client.is_complete(code), timeout=30)["status"]
    assert notebook.ask(notebook.client.complete(code), timeout=30)["status"] == "ok"
    assert notebook.ask(notebook.client.inspect(code), timeout=30)["status"] == "ok"


# evcxr's control lines from the user's own code


@pytest.mark.parametrize("word", [
    "EVCXR_PANIC_NOTIFICATION", "EVCXR_ERROR_OCCURRED", "EVCXR_VARIABLE_CHANGED_TYPE:kept", "EVCXR_VARIABLE_CHANGED_TYPE:x",
    "EVCXR_EXECUTION_COMPLETE", "EVCXR_END_CONTENT",
])
def test_a_control_word_that_a_cell_prints_is_text(notebook, word):
    notebook.ok("let kept = 41;")
    reply = notebook.ok(f'println!("{word}");\n5', timeout=60)
    assert reply.result == "5" and word in reply.stdout
    assert notebook.ok("kept + 1", timeout=60).result == "42"


def test_a_control_word_without_a_newline_is_text(notebook):
    reply = notebook.ok('print!("EVCXR_ERROR_OCCURRED")')
    assert reply.stdout == "EVCXR_ERROR_OCCURRED"
    reply = notebook.execute('print!("EVCXR_ERROR_OCCURRED"); "x".parse::<i64>()?')
    assert reply.stdout == "EVCXR_ERROR_OCCURRED" and "invalid digit" in reply.error.value


def test_content_without_an_end_is_shown_at_the_end_of_the_cell(notebook):
    reply = notebook.ok('println!("EVCXR_BEGIN_CONTENT text/html");\nprintln!("inside");\n5', timeout=60)
    assert reply.result == "5"
    assert "inside" in reply.stdout + json.dumps(reply.bundles())
    reply = notebook.ok('println!("after");', timeout=60)
    assert reply.stdout == "after\n"


def test_content_with_an_end_is_shown(notebook):
    reply = notebook.ok('println!("EVCXR_BEGIN_CONTENT text/html\\n<b>bold</b>\\nEVCXR_END_CONTENT");', timeout=60)
    assert "<b>bold</b>" in reply.html + reply.stdout


# Kills between two requests


def has_ended(process):
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return True


@pytest.mark.parametrize("victim, cell", [
    *(("worker", cell) for cell in CELLS), ("cells", "%run fine"), ("cells", "fine + 1"),
])
def test_what_had_not_begun_is_begun_again(notebook, victim, cell):
    plain_node(notebook)
    notebook.ok("fine + 1")
    for waits in (True, False):
        killed = notebook.processes(victim)
        assert killed
        for process in killed:
            process.kill()
        if waits:
            notebook.wait_until(lambda: all(has_ended(it) for it in killed), "the end of the process")
        holds(notebook.execute(unlike_any(cell), timeout=60), cell)
        # What a magic left dead, because it needs no cells, is started again here.
        assert notebook.ok(unlike_any("fine + 1"), timeout=60).result == "3"


def test_an_edit_and_a_kill_give_the_new_value(notebook):
    plain_node(notebook)
    for number in range(5, 9):
        notebook.worker().kill()
        notebook.write("flow.rs", PLAIN.replace("x + 1", f"x + {number}"))
        assert notebook.run("fine", timeout=60) == {"fine": 1 + number}


def much(count=600):
    """Functions enough that rustc can be met at work."""
    return "".join(f"pub fn g{i}(x: i64) -> String {{ format!(\"{{:?}}\", (0..x).map(|it| vec![it; {i}]).collect::<Vec<_>>()) }}\n" for i in range(count))


def test_a_compiler_that_was_killed_once_is_started_again(notebook):
    plain_node(notebook)
    notebook.write("flow.rs", PLAIN.replace("x + 1", "x + 3") + much())
    notebook.wait_until(notebook.compilers, "the compiler starts")
    for process in notebook.compilers():
        with contextlib.suppress(psutil.Error):
            process.kill()
    reply = notebook.ok("%run fine --as json")
    assert reply.json == {"fine": 4}


def test_a_compiler_that_is_killed_each_time_is_told_and_not_kept(notebook):
    plain_node(notebook)
    with killing(notebook.compilers) as killed:
        notebook.write("flow.rs", PLAIN.replace("x + 1", "x + 4") + much())
        error = notebook.fails("%run fine", "BuildError")
    assert killed and re.search("kill|signal", error.value + error.traceback), error
    assert notebook.run("fine") == {"fine": 5}


def test_a_compiler_of_cells_that_is_killed_each_time_has_its_own_words(notebook):
    plain_node(notebook)
    notebook.ok("fine + 1")
    big = "\n".join(f"fn f{i}(x: u64) -> String {{ (0..x).map(|it| format!(\"{{it:?}}\")).collect::<Vec<_>>().join(\"{i}\") }}" for i in range(300))
    with killing(notebook.compilers) as killed:
        error = notebook.fails(big)
    assert killed and "no parsable errors" not in error.value + error.traceback, error
    assert re.search("kill|signal", error.value + error.traceback), error
    assert notebook.ok(unlike_any("fine + 1"), timeout=60).result == "3"
    right(notebook)


def test_a_worker_that_dies_each_time_is_told_as_dead(notebook):
    plain_node(notebook)

    def workers():
        # Only this way they are met before they have answered.
        found = []
        for child in psutil.Process(notebook.pid).children():
            with contextlib.suppress(psutil.Error):
                found += [child] if "worker" in child.cmdline()[1:2] else []
        return found

    # One that is quicker than its killer has computed what it should.
    for _ in range(20):
        with killing(workers) as killed:
            reply = notebook.execute("%run fine --as json", timeout=60)
        assert killed
        if reply.status == "error":
            break
        assert reply.json == {"fine": 2}
    assert reply.status == "error" and reply.error.name == "WorkerDied", reply.describe()
    assert "SIGKILL" in reply.error.value + reply.error.traceback
    right(notebook)


# Directories of the living


@contextlib.contextmanager
def with_directory(directory, **options):
    """A kernel, and its own directory among those of all sessions."""
    before = session_directories()
    kernel = Kernel(directory, **options)
    try:
        own = session_directories() - before
        assert len(own) == 1, own
        yield kernel, own.pop()
    finally:
        kernel.close()
        kernel.assert_no_process_left()


def one_node_notebook(directory):
    directory.mkdir()
    (directory / "flow.rs").write_text("pub fn ready() -> i64 { 6 }\n")
    cells = [nbformat.v4.new_code_cell("%watch flow.rs\n%run ready"), nbformat.v4.new_code_cell("ready + 1")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), directory / "other.ipynb")


def test_a_kernel_that_sees_no_other_process_leaves_their_directories(tmp_path):
    apart = ["unshare", "--pid", "--fork", "--mount-proc"]
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"], capture_output=True).returncode != 0:
        pytest.skip("this system does not let us have a namespace of process numbers")
    (tmp_path / "one").mkdir()
    one_node_notebook(tmp_path / "two")
    with with_directory(tmp_path / "one") as (kernel, own):
        plain_node(kernel)
        assert kernel.ok("fine + 1").result == "3"
        of_cells = cells_directories()
        assert of_cells
        done = subprocess.run(
            [*apart, executable(), "run", "other.ipynb"], cwd=tmp_path / "two", text=True, capture_output=True, timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert own.is_dir() and of_cells <= cells_directories()
        kernel.worker().kill()
        right(kernel)
        kernel.write("flow.rs", PLAIN.replace("x + 1", "x + 2"))
        assert kernel.run("fine") == {"fine": 3}
        assert kernel.ok(unlike_any("fine + 1")).result == "4"


def test_a_directory_that_is_gone_is_made_again(tmp_path):
    with with_directory(tmp_path) as (kernel, own):
        plain_node(kernel)
        shutil.rmtree(own)
        kernel.worker().kill()
        kernel.write("flow.rs", PLAIN.replace("x + 1", "x + 2"))
        assert kernel.run("fine", timeout=60) == {"fine": 3}


def is_unlocked(path):
    with open(path, "rb+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_directories_of_killed_kernels_are_removed_by_the_next(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with with_directory(tmp_path / "one") as (kernel, own):
        plain_node(kernel)
        os.kill(kernel.pid, signal.SIGKILL)
        kernel.assert_no_process_left(timeout=10)
        assert own.is_dir()
        # The first thread of a killed process is gone before the last one, which lets go of its files.
        kernel.wait_until(lambda: is_unlocked(own / "lock"), "the lock is given up", timeout=10)
        with with_directory(tmp_path / "two"):
            assert not own.exists()


# Connection files and sockets


@pytest.fixture
def short():
    """A directory whose path leaves room for the name of a socket."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bk-", dir="/tmp"))
    yield directory
    shutil.rmtree(directory)


def end_by_message(kernel):
    """Ends a kernel without the manager, which would tidy up behind it."""
    kernel.client.shutdown()
    kernel.wait_until(lambda: kernel.manager.provisioner.process.poll() is not None, "the end of the kernel", timeout=10)


def started(kernel, connection_file):
    """What a kernel of the same kind says that is started on a connection file which it must refuse."""
    argv = [it.replace("{connection_file}", str(connection_file)) for it in kernel.manager.kernel_spec.argv]
    return subprocess.run(argv, cwd=kernel.directory, text=True, capture_output=True, timeout=30, env=kernel.environment)


def test_sockets_of_files_are_ones_own_and_go_with_the_kernel(tmp_path, short):
    kernel = Kernel(tmp_path, transport="ipc", ip=str(short / "k"))
    try:
        plain_node(kernel)
        sockets = list(short.iterdir())
        assert len(sockets) == 5
        assert {stat.S_IMODE(it.stat().st_mode) for it in sockets} == {0o600}
        refused = started(kernel, kernel.manager.connection_file)
        assert refused.returncode != 0 and str(short / "k") in refused.stderr, refused
        assert len(list(short.iterdir())) == 5
        right(kernel)
        end_by_message(kernel)
        assert list(short.iterdir()) == []
    finally:
        kernel.close()
    kernel.assert_no_process_left()


def test_a_key_that_is_no_text_does_not_turn_signing_off(notebook, tmp_path):
    connection = json.loads(pathlib.Path(notebook.manager.connection_file).read_text())
    for key in (5, True, ["a"], {"a": 1}):
        file = tmp_path / "connection.json"
        ports = {it: 0 for it in connection if it.endswith("_port")}
        file.write_text(json.dumps({**connection, **ports, "key": key}))
        refused = started(notebook, file)
        assert refused.returncode != 0 and "key" in refused.stderr, (key, refused)


# Files that nobody else may touch


def test_directories_are_closed_to_others_whatever_the_umask(tmp_path):
    before = cells_directories()
    with contextlib.ExitStack() as stack:
        umask = os.umask(0o002)
        try:
            kernel, own = stack.enter_context(with_directory(tmp_path))
        finally:
            os.umask(umask)
        plain_node(kernel)
        assert kernel.ok("fine + 1").result == "3"
        of_cells = cells_directories() - before
        assert of_cells
        for directory in (own, *of_cells):
            assert stat.S_IMODE(directory.stat().st_mode) == 0o700, directory


def test_without_a_home_nothing_is_taken_from_the_shared_temporary_directory(tmp_path):
    target, shared, work = tmp_path / "target", tmp_path / "shared", tmp_path / "work"
    for directory in (target, shared, work):
        directory.mkdir()
    # What another user would have laid out, under every name that we might look for.
    for name in ("brooklet", f"brooklet-{os.getuid()}"):
        (shared / name).symlink_to(target)
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("%help")]), work / "help.ipynb")
    environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME", "BROOKLET_CACHE")}
    # It may refuse to start or go elsewhere; what it may not do is to follow the link.
    subprocess.run(
        [executable(), "run", "help.ipynb"], cwd=work, env={**environment, "TMPDIR": str(shared)}, timeout=60,
        capture_output=True,
    )
    assert list(target.iterdir()) == []


def test_the_page_of_a_run_holds_no_script_of_markdown(tmp_path):
    markdown = (
        "# A title\n\n<script>alert(1)</script>\n\n<img src=\"x\" onerror=\"alert(2)\">\n\n[link](javascript:alert(3))\n\n"
        "<a href=\"JaVaScRiPt:alert(4)\">x</a> <iframe src=\"data:text/html,x\"></iframe> <svg onload=\"alert(5)\"></svg> **bold**\n"
    )
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(markdown)]), tmp_path / "page.ipynb")
    done = subprocess.run([executable(), "run", "page.ipynb"], cwd=tmp_path, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "target" / "page" / "page.html").read_text()
    assert "A title" in page and "<strong>bold</strong>" in page
    for tag in re.findall(r"<[^>]*>", page):
        assert not re.search(r"alert|\son\w+\s*=|javascript:|<iframe", tag, re.IGNORECASE), tag
    assert "<script>alert" not in page


# The end


def test_a_terminated_kernel_leaves_no_process_and_no_directory(tmp_path):
    before = cells_directories()
    with with_directory(tmp_path) as (kernel, own):
        plain_node(kernel)
        assert kernel.ok("fine + 1").result == "3"
        of_cells = cells_directories() - before
        assert of_cells
        os.kill(kernel.pid, signal.SIGTERM)
        kernel.wait_until(lambda: kernel.manager.provisioner.process.poll() is not None, "the end of the kernel", timeout=10)
        kernel.assert_no_process_left()
        assert not own.exists() and not any(it.exists() for it in of_cells)


def test_the_worker_inherits_no_poll_descriptor(fresh):
    plain_node(fresh)
    directory = pathlib.Path(f"/proc/{fresh.worker().pid}/fd")
    links = {it.name: os.readlink(it) for it in directory.iterdir()}
    assert not [it for it in links.items() if "eventpoll" in it[1]], links


# Cells that do not come to a value


@pytest.mark.parametrize("code, name, text", [
    ('{ let q = 3; panic!("boom {q}") }', "Panic", "boom 3"),
    ("todo!()", "Panic", "not yet implemented"),
    ('unreachable!("by design")', "Panic", "by design"),
    ('let small = 3i64;\nif small > 5 { small } else { panic!("small {small}") }', "Panic", "small 3"),
    ('if 1 + 1 == 2 { panic!("one") } else { panic!("other") }', "Panic", "one"),
    ("std::process::exit(1)", "WorkerDied", "1|exit"),
    ("{ let code = 1; std::process::exit(code) }", "WorkerDied", "1|exit"),
])
def test_a_cell_that_diverges_has_the_error_of_what_it_does(notebook, code, name, text):
    error = notebook.fails(code, name, timeout=60)
    assert re.search(text, error.value + error.traceback), error
    assert "E0277" not in error.traceback
    assert notebook.ok("1 + 1", timeout=60).result == "2"


def test_a_loop_that_breaks_with_a_value_is_a_value(notebook):
    assert notebook.ok("loop { break 5 }").result == "5"
    assert notebook.ok("{ let q = 3; q + 1 }").result == "4"
