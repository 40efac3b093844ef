"""A notebook without a browser: executes cells and says what a person would have seen.

It complains about everything that breaks the protocol's promises (a missing `busy` or `idle`, a changed
session, a second result), so each test checks those by the way.
"""

import contextlib
import json
import os
import pathlib
import queue
import re
import tempfile
import time
import uuid
from dataclasses import dataclass, field

import psutil
from jupyter_client import BlockingKernelClient, KernelManager

# Far beyond what anything takes: a test that waits this long has failed, not been slow.
PATIENCE = 120
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def plain(text):
    """Text without colours."""
    return ANSI.sub("", text)


def is_named(process, name):
    """Whether a process, if it is still there, is called so."""
    try:
        return process.name() == name
    except psutil.Error:
        return False


def cache_directory():
    """The cache that the kernels under test use."""
    if "BROOKLET_CACHE" in os.environ:
        return pathlib.Path(os.environ["BROOKLET_CACHE"])
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "brooklet"


def session_directories():
    """What kernels keep in the cache while they live."""
    directory = cache_directory() / "sessions"
    return {it for it in directory.iterdir() if it.is_dir()} if directory.is_dir() else set()


def cells_directories():
    """What the processes of cells keep in the temporary directory."""
    return {it for parent in {tempfile.gettempdir(), "/tmp"} for it in pathlib.Path(parent).glob("brooklet-cells-*")}


@dataclass
class Error:
    name: str
    value: str
    traceback: str

    def __str__(self):
        return f"{self.name}: {self.value}\n{self.traceback}"


@dataclass
class Reply:
    """What one cell left behind: outputs in their last state, in order."""

    code: str
    status: str = ""
    execution_count: int | None = None
    outputs: list = field(default_factory=list)
    content: dict = field(default_factory=dict)
    error: Error | None = None
    seconds: float = 0.0
    # How often it was interrupted by `presses`.
    pressed: int = 0

    def bundles(self):
        return [it["content"]["data"] for it in self.outputs if it["type"] in ("display_data", "execute_result")]

    def of(self, mime):
        """The cell's only bundle in one format."""
        found = [it[mime] for it in self.bundles() if mime in it]
        assert len(found) == 1, f"{self.code!r} shows {len(found)} × {mime}: {self.describe()}"
        return found[0]

    @property
    def text(self):
        """Plain text of all that was displayed, the last state of each."""
        return "\n".join(it["text/plain"] for it in self.bundles())

    @property
    def result(self):
        """Plain text of the last thing shown: the value, where a picture stands above it."""
        shown = self.bundles()
        assert shown, f"{self.code!r} shows nothing: {self.describe()}"
        return shown[-1]["text/plain"]

    @property
    def html(self):
        return "\n".join(it["text/html"] for it in self.bundles() if "text/html" in it)

    def stream(self, name):
        return "".join(it["content"]["text"] for it in self.outputs if it["type"] == "stream" and it["content"]["name"] == name)

    @property
    def stdout(self):
        return self.stream("stdout")

    @property
    def stderr(self):
        return self.stream("stderr")

    @property
    def json(self):
        """The value of a `--as json` cell; both formats must say the same."""
        value = self.of("application/json")
        texts = [it["text/plain"] for it in self.bundles() if "application/json" in it]
        assert json.loads(texts[0]) == value
        return value

    @property
    def ran(self):
        """Names of the transforms that ran: they print `ran NAME` (see `Kernel.write`)."""
        return re.findall(r"^ran (\w+)$", self.stdout, re.MULTILINE)

    def describe(self):
        return f"{self.status} {plain(str(self.error)) if self.error else ''} {self.outputs}"


class Kernel:
    """One kernel process, its files, and a client."""

    def __init__(self, directory, name="brooklet", environment=None, **manager):
        self.directory = pathlib.Path(directory)
        self.tag = uuid.uuid4().hex
        self.manager = KernelManager(kernel_name=name, **manager)
        self.environment = {**os.environ, "BROOKLET_TEST": self.tag, **(environment or {})}
        started = time.monotonic()
        self.manager.start_kernel(cwd=str(self.directory), env=self.environment)
        self.client = self.connect()
        self.seconds_to_ready = time.monotonic() - started
        self.session = None
        self.stray = []
        # By display id: the last state of everything that was shown, also below older cells.
        self.displays = {}

    def connect(self):
        # Not `manager.client()`: those share one identity, and each would take the other's replies.
        client = BlockingKernelClient(connection_file=self.manager.connection_file)
        client.load_connection_file()
        client.start_channels()
        client.wait_for_ready(timeout=PATIENCE)
        return client

    # Files

    def write(self, name, text, prelude=True):
        """Writes a transform file; `RAN!(name)` in it becomes a print that `Reply.ran` finds."""
        text = re.sub(r"RAN!\((\w+)\)", r'println!("ran \1")', text)
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(("use brooklet::prelude::*;\n" if prelude else "") + text)
        return path

    def watch(self, text, name="flow.rs"):
        """Writes one transform file and watches it."""
        self.write(name, text)
        return self.ok(f"%watch {name}")

    def forget(self):
        """Back to no files and no inputs; values that were computed may stay reusable."""
        self.ok("%unwatch")
        for magic in ("input", "config"):
            # A table: a heading, then one name on each line.
            lines = self.ok(f"%{magic}").text.splitlines()[1:]
            names = [line.split()[0] for line in lines if line.strip() and "(missing)" not in line]
            if names:
                self.ok(f"%{magic} " + " ".join(f"{it}=" for it in names))

    # Execution

    def start(self, code, client=None, **options):
        """Sends a cell and does not wait."""
        return (client or self.client).execute(code, **{"allow_stdin": False, **options})

    def execute(self, code, timeout=PATIENCE, presses=(), **options):
        request = self.start(code, **options)
        return self.finish(request, code, timeout, silent=options.get("silent", False), presses=presses)

    def ok(self, code, timeout=PATIENCE, **options):
        """Executes a cell that must succeed."""
        reply = self.execute(code, timeout, **options)
        assert reply.status == "ok", f"{code!r} failed: {reply.describe()}"
        return reply

    def fails(self, code, name=None, timeout=PATIENCE, **options):
        """Executes a cell that must fail, with the error of this name (a regular expression)."""
        reply = self.execute(code, timeout, **options)
        assert reply.status == "error", f"{code!r} should fail: {reply.describe()}"
        if name is not None:
            assert re.fullmatch(name, reply.error.name), f"{code!r} fails otherwise: {reply.error}"
        return reply.error

    def run(self, *targets, options="", timeout=PATIENCE):
        """Values of targets as Python values."""
        return self.ok(f"%run {' '.join(targets)} --as json {options}", timeout).json

    def finish(self, request, code="", timeout=PATIENCE, silent=False, client=None, on_message=None, presses=()):
        """Collects all of a request's outputs and its reply.

        Interrupts a request that has not ended after so many seconds, at each of `presses`.
        """
        client = client or self.client
        deadline = time.monotonic() + timeout
        started = time.monotonic()
        reply = Reply(code)
        presses = [started + it for it in presses]
        states = []
        inputs = []
        clear_next = False
        while not states or states[-1] != "idle":
            message = self.next_message(client, deadline, code, reply, presses)
            if on_message:
                on_message(message)
            kind, content = message["header"]["msg_type"], message["content"]
            self.check_session(message)
            if message["parent_header"].get("msg_id") != request:
                self.foreign(kind, message, reply)
                continue
            if not states:
                assert kind == "status" and content["execution_state"] == "busy", f"{kind} before busy"
            if clear_next and kind in ("stream", "display_data", "execute_result", "error"):
                reply.outputs.clear()
                clear_next = False
            if kind == "status":
                states.append(content["execution_state"])
            elif kind == "execute_input":
                inputs.append(content)
            elif kind == "update_display_data":
                self.update(reply, content)
            elif kind == "clear_output":
                clear_next = content["wait"]
                if not content["wait"]:
                    reply.outputs.clear()
            elif kind in ("stream", "display_data", "execute_result", "error"):
                self.note(content)
                reply.outputs.append({"type": kind, "content": content})
                if kind == "display_data" and content.get("transient", {}).get("display_id"):
                    self.update(reply, content)
            else:
                raise AssertionError(f"unexpected {kind} while {code!r} ran")
        assert states == ["busy", "idle"], states
        answer = self.reply_to(request, client, deadline)
        reply.content = answer["content"]
        reply.status = answer["content"]["status"]
        reply.execution_count = answer["content"].get("execution_count")
        reply.seconds = time.monotonic() - started
        self.check(reply, inputs, silent)
        return reply

    def next_message(self, client, deadline, code, reply, presses):
        while True:
            # Looked at before each message: code that prints without end must be interrupted as well, and end.
            assert time.monotonic() < deadline + 5, f"{code!r} did not end; so far {reply.describe()[:2000]}"
            if presses and time.monotonic() >= presses[0]:
                presses.pop(0)
                reply.pressed += 1
                self.interrupt()
            until = min([deadline, *presses[:1]])
            with contextlib.suppress(queue.Empty):
                return client.get_iopub_msg(timeout=max(0.01, until - time.monotonic()))
            assert time.monotonic() < deadline, f"{code!r} did not end; so far {reply.describe()}"

    def reply_to(self, request, client, deadline):
        while True:
            try:
                answer = client.get_shell_msg(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError("no reply") from None
            self.check_session(answer)
            if answer["parent_header"].get("msg_id") == request:
                return answer
            # A late answer to a question of `wait_for_ready`.
            assert answer["header"]["msg_type"] == "kernel_info_reply", f"stray {answer['header']['msg_type']}"

    def foreign(self, kind, message, reply):
        """A message that belongs to another request: late output, an update of an older display."""
        if kind == "update_display_data":
            self.update(reply, message["content"])
        elif kind == "display_data" and "note" in message["content"].get("transient", {}).get("display_id", ""):
            self.note(message["content"])
        elif kind == "stream" and message["content"]["text"].startswith("note: rustc was killed"):
            pass  # what is compiled in the background is told below whatever cell was last
        elif kind not in ("status", "iopub_welcome"):
            self.stray.append((kind, message["content"]))

    def note(self, content):
        if display_id := content.get("transient", {}).get("display_id"):
            self.displays[display_id] = content

    def shown(self, condition, what, timeout=PATIENCE):
        """Waits until a display changes to what the condition wants, with no cell executed; its plain text."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for content in self.displays.values():
                if condition(content["data"]["text/plain"]):
                    return content["data"]["text/plain"]
            with contextlib.suppress(queue.Empty):
                message = self.client.get_iopub_msg(timeout=0.2)
                self.check_session(message)
                assert message["header"]["msg_type"] in ("update_display_data", "display_data", "status"), message
                self.note(message["content"])
        raise AssertionError(f"{what}: {[it['data']['text/plain'][:200] for it in self.displays.values()]}")

    def update(self, reply, content):
        self.note(content)
        display_id = content["transient"]["display_id"]
        for output in reply.outputs:
            if output["content"].get("transient", {}).get("display_id") == display_id:
                output["content"] = content

    def check_session(self, message):
        session = message["header"]["session"]
        assert self.session in (None, session), "the kernel's session changed"
        self.session = session

    @staticmethod
    def check(reply, inputs, silent):
        kinds = [it["type"] for it in reply.outputs]
        assert kinds.count("execute_result") <= 1, kinds
        assert [it["code"] for it in inputs] == ([] if silent else [reply.code] if reply.code else [inputs[0]["code"]])
        errors = [it["content"] for it in reply.outputs if it["type"] == "error"]
        for bundle in reply.bundles():
            assert "text/plain" in bundle, f"{reply.code!r} shows {list(bundle)} without text/plain"
        if reply.status == "error":
            content = reply.content
            assert len(errors) == (0 if silent else 1), errors
            if errors:
                assert all(errors[0][it] == content[it] for it in ("ename", "evalue", "traceback"))
            reply.error = Error(content["ename"], content["evalue"], plain("\n".join(content["traceback"])))
        else:
            assert not errors, errors

    # Questions

    def ask(self, request, timeout=PATIENCE):
        """The content of a shell reply; what iopub says meanwhile is read too."""
        content = self.ask_of(self.client, request, timeout)
        state = None
        while state != "idle":
            message = self.client.get_iopub_msg(timeout=timeout)
            if message["parent_header"].get("msg_id") == request:
                state = message["content"].get("execution_state")
        return content

    def ask_of(self, client, request, timeout=PATIENCE):
        """The content of a shell reply to another client."""
        return self.reply_to(request, client, time.monotonic() + timeout)["content"]

    def complete(self, code, position=None):
        return self.ask(self.client.complete(code, position))

    def inspect(self, code, position=None, detail=0):
        return self.ask(self.client.inspect(code, position, detail))

    # Processes

    @property
    def pid(self):
        return self.manager.provisioner.pid

    def processes(self, part=None):
        """Living processes of this kernel, also such as have left its tree; `part` is the subcommand."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() == psutil.STATUS_ZOMBIE or process.environ().get("BROOKLET_TEST") != self.tag:
                    continue
                if part is None or part in process.cmdline()[1:2]:
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def compilers(self):
        return [it for it in self.processes() if is_named(it, "rustc")]

    def worker(self):
        workers = self.processes("worker")
        assert len(workers) == 1, workers
        return workers[0]

    def interrupt(self):
        """Interrupts as a frontend does, and waits until the kernel has taken note."""
        self.client.control_channel.send(self.client.session.msg("interrupt_request", {}))
        answer = self.client.get_control_msg(timeout=PATIENCE)
        assert answer["header"]["msg_type"] == "interrupt_reply" and answer["content"]["status"] == "ok"

    def stop(self, process):
        """Stops a process. A signal takes its time, and a thread that still runs answers meanwhile."""
        process.suspend()

        def states():
            return [(it / "stat").read_text().rpartition(")")[2].split()[0] for it in pathlib.Path(f"/proc/{process.pid}/task").iterdir()]

        self.wait_until(lambda: set(states()) <= set("TtZX"), "all threads are stopped", timeout=5)

    def wait_until(self, condition, what, timeout=PATIENCE):
        """Polls for what has no event (the end of a process, the size of a file)."""
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain: {what}"
            time.sleep(0.02)

    def assert_no_process_left(self, timeout=5):
        deadline = time.monotonic() + timeout
        left = self.processes()
        while left and time.monotonic() < deadline:
            psutil.wait_procs(left, timeout=0.2)
            left = self.processes()
        assert not left, [(it.pid, it.cmdline()) for it in left]

    def close(self):
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=False)
        assert not self.stray, f"nobody asked for {self.stray}"
