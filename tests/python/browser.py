"""A JupyterLab in a headless Chromium, driven over the DevTools protocol: for tests, and for benches."""

import base64
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import threading

import websocket

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PATIENCE = 600
SCREENSHOTS = pathlib.Path(os.environ.get("SCREENSHOTS") or REPOSITORY / "target" / "screenshots")

# JupyterLab's questions to a first-time user would cover the notebook.
SETTINGS = {
    "@jupyterlab/apputils-extension/notification.jupyterlab-settings": {"fetchNews": "false", "checkForUpdates": False},
}


class Process:
    """A server that says on stderr where it listens."""

    def __init__(self, command, pattern, **options):
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, **options)
        said = []
        for line in self.process.stderr:
            said.append(line)
            if found := re.search(pattern, line):
                self.address = found.group(1)
                break
        else:
            raise AssertionError(f"{command[0]} did not start:\n{''.join(said)}")
        # Somebody must read on, or the pipe fills and the process stands still.
        threading.Thread(target=lambda: [None for _ in self.process.stderr], daemon=True).start()

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Page:
    """One tab."""

    def __init__(self, address, width, height):
        self.numbers = itertools.count(1)
        self.socket = websocket.create_connection(address, timeout=PATIENCE, suppress_origin=True)
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")
        self.resize(width, height)

    def call(self, method, **parameters):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def resize(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def evaluate(self, script):
        """The value of an expression, waiting for it if it is a promise."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"].get("exception", {}).get("description")
        return answer["result"].get("value")

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.until("window.jupyterapp")

    def until(self, condition, seconds=120):
        """Waits for a condition on the page that has no event."""
        self.evaluate("""
            new Promise((done, fail) => {
              const end = Date.now() + %d;
              const look = () => (%s) ? done(1) : Date.now() > end ? fail(new Error(document.title + ': ' + document.body.innerText.slice(0, 300))) : setTimeout(look, 20);
              look();
            })""" % (seconds * 1000, condition))

    def move(self, x, y):
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.painted()

    def painted(self):
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def screenshot(self, name):
        self.painted()
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        data = self.call("Page.captureScreenshot", format="png")["data"]
        (SCREENSHOTS / name).write_bytes(base64.b64decode(data))


def start_lab(directory, notebooks):
    """A JupyterLab over some notebooks, with its settings in a directory of its own."""
    for name, value in SETTINGS.items():
        path = directory / "settings" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value))
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser",
        "--ServerApp.port=0", "--ServerApp.ip=127.0.0.1", "--IdentityProvider.token=secret",
        f"--LabApp.user_settings_dir={directory / 'settings'}", f"--LabApp.workspaces_dir={directory / 'workspaces'}",
    ]
    server = Process(command, r"(http://127\.0\.0\.1:\d+)/lab", cwd=notebooks)
    server.url = f"{server.address}/lab?token=secret"
    return server


def start_browser(profile):
    command = [
        os.environ.get("CHROMIUM", "chromium"), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-dev-shm-usage", "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank",
    ]
    return Process(command, r"DevTools listening on (ws://\S+)")


# Opens a notebook and runs all its cells; resolves when the last one has ended.
RUN_ALL = """
(async () => {
  const app = window.jupyterapp;
  await app.restored;
  const panel = await app.commands.execute('docmanager:open', { path: '%s', factory: 'Notebook' });
  await panel.context.ready;
  await panel.sessionContext.ready;
  await app.commands.execute('application:set-mode', { mode: 'single-document' });
  await app.commands.execute('notebook:run-all-cells');
  window.panel = panel;
  return panel.sessionContext.session.kernel.name;
})()
"""
