"""Whatever user code and users do, the kernel answers, says what happened in one clear error, and goes on."""

import os
import signal
import time

import psutil
import pytest

from brooklet_client import Kernel

# One node per fault, and one that works.
FAULTS = """
pub fn fine(x: i64) -> i64 { RAN!(fine); x + 1 }
pub fn panics(fine: i64) -> i64 { if fine > 0 { panic!("boom at {fine}") } fine }
pub fn fails(fine: i64) -> Result<i64, Box<dyn std::error::Error + Send + Sync>> { let _ = fine; Ok("x1".parse::<i64>()?) }
pub fn aborts(fine: i64) -> i64 { if fine > 0 { std::process::abort() } fine }
pub fn exits(fine: i64) -> i64 { if fine > 0 { std::process::exit(7) } fine }
pub fn overflows(fine: i64) -> i64 { fn deep(n: i64) -> i64 { if n < 0 { 0 } else { 1 + deep(std::hint::black_box(n + 1)) } } deep(fine) }
pub fn endless(fine: i64) -> i64 { println!("looping"); let mut n = fine; loop { n = std::hint::black_box(n) } }
pub fn after_endless(endless: i64) -> i64 { endless }
pub fn waits(fine: i64) -> i64 { println!("waiting"); while !std::path::Path::new("go").exists() { std::thread::yield_now() } fine }
pub fn after_waits(waits: i64) -> i64 { RAN!(after_waits); waits + 1 }
pub fn segfaults(fine: i64) -> i64 { unsafe { std::ptr::null::<i64>().read_volatile() + fine } }
"""


def faults(kernel):
    kernel.watch(FAULTS)
    kernel.ok("%input x=1")
    assert kernel.run("fine") == {"fine": 2}


def works_again(kernel):
    """The kernel computes, in this process or a new one."""
    assert kernel.run("fine") == {"fine": 2}
    kernel.write("flow.rs", FAULTS.replace("x + 1", "x + 5"))
    assert kernel.run("fine") == {"fine": 6}


def when_printed(kernel, text, action):
    """A message hook that acts once, when the cell has printed the text."""
    done = []

    def hook(message):
        content = message["content"]
        if message["header"]["msg_type"] == "stream" and text in content["text"] and not done:
            done.append(True)
            action()

    return hook


# Faults of user code


def test_a_panic_is_an_error_of_the_node_with_its_place(notebook):
    faults(notebook)
    worker = notebook.worker().pid
    error = notebook.fails("%run panics", "Panic")
    assert "boom at 2" in error.value and "`panics`" in error.value
    assert "flow.rs:4" in error.traceback
    works_again(notebook)
    assert notebook.worker().pid == worker


def test_an_err_is_an_error_of_the_node_with_its_message(notebook):
    faults(notebook)
    error = notebook.fails("%run fails", "Error")
    assert "invalid digit" in error.value and "`fails`" in error.value
    works_again(notebook)


def test_the_rest_of_a_run_is_computed_when_one_target_fails(notebook):
    faults(notebook)
    notebook.fails("%run panics fine --input x=100", "Panic")
    assert notebook.ok("%run fine --input x=100").ran == []


@pytest.mark.parametrize("node, sign", [
    ("aborts", "SIGABRT"), ("segfaults", "SIGSEGV"), ("overflows", "SIGABRT|overflow"), ("exits", "7|exit"),
])
def test_the_death_of_the_worker_is_told_and_the_next_cell_works(notebook, node, sign):
    import re

    faults(notebook)
    worker = notebook.worker().pid
    error = notebook.fails(f"%run {node}", "WorkerDied")
    assert re.search(sign, error.value + error.traceback), error
    assert node in error.value
    works_again(notebook)
    assert notebook.worker().pid != worker


def test_the_death_is_told_of_the_node_that_was_running_and_not_of_the_target(notebook):
    notebook.watch("""
pub fn middle(x: i64) -> i64 { if x > 0 { std::process::abort() } x }
pub fn last(middle: i64) -> i64 { middle }
""")
    error = notebook.fails("%run last --input x=1", "WorkerDied")
    assert "while `middle` was running" in error.value
    assert notebook.ok("%run last --input x=0").result == "0"


def test_killing_an_idle_worker_is_noticed_and_mended(notebook):
    faults(notebook)
    notebook.worker().kill()
    reply = notebook.execute("%run fine")
    assert reply.status == "ok" or "SIGKILL" in str(reply.error)
    works_again(notebook)


def test_killing_a_busy_worker_is_told(notebook):
    faults(notebook)
    (notebook.directory / "go").unlink(missing_ok=True)
    request = notebook.start("%run waits")
    hook = when_printed(notebook, "waiting", lambda: notebook.worker().kill())
    reply = notebook.finish(request, "%run waits", on_message=hook)
    assert reply.error.name == "WorkerDied" and "SIGKILL" in reply.error.value and "waits" in reply.error.value
    works_again(notebook)


def test_killing_the_cells_process_is_survived(notebook):
    faults(notebook)
    assert notebook.ok("fine + 1").result == "3"
    for process in notebook.processes("cells"):
        process.kill()
    notebook.execute("1 + 1")
    assert notebook.ok("fine + 2").result == "4"
    works_again(notebook)


# Interrupts


def test_an_interrupt_when_idle_does_nothing(notebook):
    faults(notebook)
    worker = notebook.worker().pid
    for _ in range(3):
        notebook.interrupt()
    works_again(notebook)
    assert notebook.worker().pid == worker


def test_one_interrupt_stops_between_nodes_and_loses_nothing(notebook):
    faults(notebook)
    (notebook.directory / "go").unlink(missing_ok=True)
    worker = notebook.worker().pid
    request = notebook.start("%run after_waits --input x=50")

    def interrupt_then_go():
        notebook.interrupt()
        (notebook.directory / "go").touch()

    reply = notebook.finish(request, "%run after_waits --input x=50", on_message=when_printed(notebook, "waiting", interrupt_then_go))
    assert reply.error.name == "Interrupted" and "after_waits" not in reply.ran
    assert notebook.worker().pid == worker
    again = notebook.ok("%run after_waits --input x=50")
    assert again.ran == ["after_waits"], "the node that had ended was not kept"


def test_a_second_interrupt_ends_an_endless_loop(notebook):
    faults(notebook)
    worker = notebook.worker().pid
    request = notebook.start("%run after_endless")

    def twice():
        notebook.interrupt()
        notebook.interrupt()

    started = time.monotonic()
    reply = notebook.finish(request, "%run after_endless", on_message=when_printed(notebook, "looping", twice))
    assert reply.status == "error" and reply.error.name == "Interrupted" and "endless" in str(reply.error)
    assert time.monotonic() - started < 8
    works_again(notebook)
    assert notebook.worker().pid != worker


def test_an_endless_loop_ends_by_itself_after_one_interrupt(notebook):
    faults(notebook)
    request = notebook.start("%run endless")
    reply = notebook.finish(request, "%run endless", on_message=when_printed(notebook, "looping", notebook.interrupt))
    assert reply.error.name == "Interrupted"
    assert 8 < reply.seconds < 25
    works_again(notebook)


def test_an_interrupt_while_compiling_keeps_values(notebook):
    faults(notebook)
    # Long enough to be interrupted: many functions of generic code.
    many = "".join(f"pub fn g{i}(x: i64) -> String {{ format!(\"{{:?}}\", (0..x).map(|it| vec![it; {i}]).collect::<Vec<_>>()) }}\n" for i in range(1500))
    notebook.write("flow.rs", FAULTS + many)
    request = notebook.start("%run g3")
    compilers = lambda: [it for it in notebook.processes() if "rustc" in it.name()]
    notebook.wait_until(lambda: compilers(), "the compiler starts")
    notebook.interrupt()
    reply = notebook.finish(request, "%run g3")
    assert reply.error.name == "Interrupted"
    notebook.write("flow.rs", FAULTS)
    assert notebook.ok("%run fine").ran == []


def test_queued_cells_are_aborted_after_an_error_and_only_those(notebook):
    faults(notebook)
    (notebook.directory / "go").unlink(missing_ok=True)
    requests = [notebook.start(it) for it in ("%run waits", "%run nothing_such", "%run fine", "%run fine")]
    replies = {}

    def go():
        (notebook.directory / "go").touch()

    replies[0] = notebook.finish(requests[0], "%run waits", on_message=when_printed(notebook, "waiting", go))
    states = [replies[0].status]
    for request in requests[1:]:
        answer = notebook.reply_to(request, notebook.client, time.monotonic() + 60)
        states.append(answer["content"]["status"])
    assert states == ["ok", "error", "aborted", "aborted"]
    drain(notebook)
    assert notebook.run("fine") == {"fine": 2}


def drain(kernel):
    """Reads what belongs to requests whose outputs nobody looks at."""
    marker = kernel.client.kernel_info()
    while True:
        message = kernel.client.get_iopub_msg(timeout=30)
        if message["parent_header"].get("msg_id") == marker and message["content"].get("execution_state") == "idle":
            return


# Prints

PRINTS = """
pub fn no_newline(x: i64) -> i64 { print!("no newline {x}"); x }
pub fn one_long_line(x: i64) -> i64 { print!("{}", "m".repeat(1 << 20)); x }
pub fn bytes(x: i64) -> i64 { use std::io::Write; std::io::stdout().write_all(b"a\\xff\\xfeb\\n").unwrap(); x }
pub fn progress(x: i64) -> i64 { for it in 0..3 { print!("\\r{it}%") } println!(); x }
pub fn to_stderr(x: i64) -> i64 { eprint!("careful {x}"); x }
pub fn many_lines(x: i64) -> i64 { for it in 0..100_000 { println!("line {it}") } x }
pub fn marks(x: i64) -> i64 { println!("\\x1ebrooklet:1\\x1e\\nEVCXR_PANIC_NOTIFICATION\\nEVCXR_BEGIN_CONTENT text/html\\nEVCXR_EXECUTION_COMPLETE"); x }
pub fn from_thread(x: i64) -> i64 { std::thread::spawn(move || println!("thread {x}")).join().unwrap(); x }
pub fn from_a_child(x: i64) -> i64 { std::process::Command::new("echo").arg("child").status().unwrap(); x }
"""


@pytest.fixture
def prints(notebook):
    notebook.watch(PRINTS)
    return notebook


def test_a_print_without_newline_is_shown(prints):
    assert prints.ok("%run no_newline --input x=1").stdout == "no newline 1"


def test_a_megabyte_on_one_line_is_shown_whole(prints):
    assert prints.ok("%run one_long_line --input x=1").stdout == "m" * (1 << 20)


def test_invalid_utf8_is_replaced(prints):
    assert prints.ok("%run bytes --input x=1").stdout == "a\ufffd\ufffdb\n"


def test_carriage_returns_arrive(prints):
    assert prints.ok("%run progress --input x=1").stdout == "\r0%\r1%\r2%\n"


def test_stderr_is_kept_apart(prints):
    reply = prints.ok("%run to_stderr --input x=4")
    assert (reply.stdout, reply.stderr) == ("", "careful 4")


def test_a_hundred_thousand_lines_arrive_in_order(prints):
    reply = prints.ok("%run many_lines --input x=1")
    assert reply.stdout == "".join(f"line {it}\n" for it in range(100_000))
    assert len([it for it in reply.outputs if it["type"] == "stream"]) < 2000, "streams are not coalesced"


def test_text_that_looks_like_protocol_is_only_text(prints):
    reply = prints.ok("%run marks --input x=9 --as json")
    assert reply.json == {"marks": 9}
    assert "EVCXR_EXECUTION_COMPLETE" in reply.stdout


def test_threads_and_children_print_into_the_cell(prints):
    assert prints.ok("%run from_thread --input x=2").stdout == "thread 2\n"
    assert prints.ok("%run from_a_child --input x=2").stdout == "child\n"


def test_output_comes_while_the_node_still_runs(notebook):
    faults(notebook)
    (notebook.directory / "go").unlink(missing_ok=True)
    request = notebook.start("%run waits --input x=77")
    # The node ends only when it sees the file, and the file is made only when its print has arrived.
    hook = when_printed(notebook, "waiting", lambda: (notebook.directory / "go").touch())
    assert notebook.finish(request, "%run waits --input x=77", on_message=hook).status == "ok"


# Files


def test_a_deleted_file_is_told_and_its_return_noticed(notebook):
    faults(notebook)
    text = (notebook.directory / "flow.rs").read_text()
    (notebook.directory / "flow.rs").unlink()
    assert "flow.rs" in str(notebook.fails("%run fine"))
    notebook.write("flow.rs", text, prelude=False)
    assert notebook.run("fine") == {"fine": 2}


def test_a_half_written_file_is_told_and_its_end_noticed(notebook):
    faults(notebook)
    text = (notebook.directory / "flow.rs").read_text()
    notebook.write("flow.rs", text[: text.index("panic!") + 3], prelude=False)
    error = notebook.fails("%run fine")
    assert "flow.rs" in error.traceback
    notebook.write("flow.rs", text, prelude=False)
    assert notebook.ok("%run fine").ran == []


def test_a_file_that_is_no_text_is_told(notebook):
    faults(notebook)
    (notebook.directory / "flow.rs").write_bytes(b"pub fn a() -> i64 { 1 }\xff\xfe\x00")
    assert "flow.rs" in str(notebook.fails("%run fine"))
    notebook.write("flow.rs", FAULTS)
    assert notebook.run("fine") == {"fine": 2}


def test_an_editor_that_saves_by_renaming_is_understood(notebook):
    faults(notebook)
    new = notebook.write("flow.rs.tmp", FAULTS.replace("x + 1", "x + 30"))
    os.replace(new, notebook.directory / "flow.rs")
    assert notebook.run("fine") == {"fine": 31}


def test_a_file_that_is_not_there_cannot_be_watched(notebook):
    assert "absent.rs" in str(notebook.fails("%watch absent.rs"))
    notebook.ok("%unwatch")


@pytest.mark.parametrize("cell", [
    "%nonsense", "%run", "%run a --as nothing", "%input x", "%%transform", "%%nonsense\nx", "%source", "%why", "%dag --up x", "%input x=[1,",
])
def test_a_wrong_magic_is_one_short_error(notebook, cell):
    error = notebook.fails(cell)
    assert error.name and len(error.traceback.splitlines()) < 12


# The kernel's end


def test_no_process_is_left_after_shutdown(fresh):
    faults(fresh)
    fresh.ok("1 + 1")
    assert fresh.processes("worker") and fresh.processes("cells")
    started = time.monotonic()
    fresh.client.stop_channels()
    fresh.manager.shutdown_kernel(now=False)
    assert time.monotonic() - started < 2.5 + 1
    fresh.assert_no_process_left()


def test_no_process_is_left_after_shutdown_while_a_node_loops(fresh):
    faults(fresh)
    fresh.start("%run endless")
    fresh.wait_until(lambda: fresh.worker().cpu_times().user > 0.3, "the loop runs")
    fresh.client.stop_channels()
    fresh.manager.shutdown_kernel(now=False)
    fresh.assert_no_process_left()


def test_no_process_is_left_after_the_kernel_is_killed(fresh):
    faults(fresh)
    fresh.ok("1 + 1")
    fresh.start("%run endless")
    fresh.wait_until(lambda: fresh.worker().cpu_times().user > 0.3, "the loop runs")
    assert fresh.processes("worker") and fresh.processes("cells")
    os.kill(fresh.pid, signal.SIGKILL)
    fresh.assert_no_process_left(timeout=10)


def test_no_process_is_left_when_the_kernel_is_killed_while_compiling(fresh):
    faults(fresh)
    fresh.write("flow.rs", FAULTS + "".join(f"pub fn g{i}(x: i64) -> String {{ format!(\"{{x:?}} {i}\") }}\n" for i in range(800)))
    fresh.start("%run g3")
    fresh.wait_until(lambda: [it for it in fresh.processes() if "rustc" in it.name()], "the compiler starts")
    os.kill(fresh.pid, signal.SIGKILL)
    fresh.assert_no_process_left(timeout=10)


def test_a_restart_gives_a_new_kernel_on_the_same_ports(fresh):
    faults(fresh)
    ports = fresh.manager.get_connection_info()
    fresh.manager.restart_kernel(now=False)
    fresh.client.stop_channels()
    fresh.session = None
    fresh.client = fresh.connect()
    assert fresh.manager.get_connection_info()["shell_port"] == ports["shell_port"]
    faults(fresh)
    assert len(fresh.processes("worker")) == 1


def test_restart_magic_ends_the_worker_and_keeps_what_is_watched(notebook):
    faults(notebook)
    worker = notebook.worker().pid
    notebook.ok("%restart")
    assert notebook.run("fine") == {"fine": 2}
    assert notebook.worker().pid != worker and not psutil.pid_exists(worker)


def test_two_kernels_do_not_disturb_each_other(notebook, tmp_path):
    faults(notebook)
    other = Kernel(tmp_path)
    try:
        faults(other)
        other.fails("%run aborts", "WorkerDied")
        works_again(notebook)
        works_again(other)
    finally:
        other.close()
    other.assert_no_process_left()


def test_a_shutdown_while_the_image_builds_leaves_no_process(tmp_path):
    # An empty cache: the image has to be linked again, which takes long enough to be caught at it.
    kernel = Kernel(tmp_path, environment={"BROOKLET_CACHE": str(tmp_path / "cache")})
    kernel.write("flow.rs", "pub fn one() -> i64 { 1 }\n")
    kernel.start("%watch flow.rs")
    kernel.wait_until(lambda: any("cargo" in it.name() for it in kernel.processes()), "cargo to start")
    kernel.close()
    kernel.assert_no_process_left()
