"""JupyterLab in a headless Chromium, driven over the DevTools protocol: opens the tour and runs it.

Screenshots are kept (`SCREENSHOTS`); look at them, they are what users see.
"""

import base64
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading

import pytest
import websocket

from conftest import REPOSITORY

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


@pytest.fixture(scope="module")
def lab(tmp_path_factory, registered):
    directory = tmp_path_factory.mktemp("lab")
    notebooks = shutil.copytree(REPOSITORY / "notebooks", directory / "notebooks")
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
    yield f"{server.address}/lab?token=secret"
    server.end()


@pytest.fixture(scope="module")
def page(lab, tmp_path_factory):
    profile = tmp_path_factory.mktemp("profile")
    command = [
        os.environ.get("CHROMIUM", "chromium"), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-dev-shm-usage", "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank",
    ]
    browser = Process(command, r"DevTools listening on (ws://\S+)")
    page = Page(browser.address, 1400, 900)
    page.open(lab)
    yield page
    browser.end()


# Opens the notebook and runs all its cells; resolves when the last one has ended.
RUN_ALL = """
(async () => {
  const app = window.jupyterapp;
  await app.restored;
  const panel = await app.commands.execute('docmanager:open', { path: 'tour.ipynb', factory: 'Notebook' });
  await panel.context.ready;
  await panel.sessionContext.ready;
  await app.commands.execute('application:set-mode', { mode: 'single-document' });
  await app.commands.execute('notebook:run-all-cells');
  window.panel = panel;
  return panel.sessionContext.session.kernel.name;
})()
"""

# Errors of cells that do not expect one, from the notebook's own model.
ERRORS = """
JSON.stringify([...window.panel.content.model.cells]
  .filter(cell => cell.type === 'code' && !(cell.metadata.tags || []).includes('raises-exception'))
  .flatMap(cell => cell.outputs.toJSON())
  .filter(output => output.output_type === 'error')
  .map(output => output.ename + ': ' + output.evalue))
"""

# Size of each element of a kind that a person could see: on the page, not hidden, with an extent.
VISIBLE = """
JSON.stringify([...document.querySelectorAll(%s)].filter(it => it.checkVisibility({ opacityProperty: true, visibilityProperty: true }))
  .map(it => it.getBoundingClientRect()).filter(it => it.width > 0 && it.height > 0)
  .map(it => [Math.round(it.x), Math.round(it.y), Math.round(it.width), Math.round(it.height)]))
"""


def visible(page, selector):
    return json.loads(page.evaluate(VISIBLE % json.dumps(selector)))


def test_the_tour_runs_and_its_pictures_and_tables_are_seen(page):
    assert page.evaluate(RUN_ALL) == "brooklet"
    assert json.loads(page.evaluate(ERRORS)) == []
    counts = json.loads(page.evaluate("JSON.stringify([...window.panel.content.model.cells].filter(it => it.type === 'code' && it.sharedModel.getSource().trim()).map(it => it.executionCount))"))
    assert counts == list(range(1, len(counts) + 1))
    shoot_all(page, "light")
    pictures = [it for it in visible(page, ".jp-OutputArea .brooklet-dag svg") if it[2] > 100]
    assert len(pictures) >= 3 and all(height > 60 for _, _, _, height in pictures), pictures
    tables = visible(page, ".jp-OutputArea table")
    assert len(tables) >= 3 and all(width > 100 and height > 40 for _, _, width, height in tables), tables


def shoot_all(page, name):
    """Screenshots of the whole notebook, a tall window at a time; renders every cell by the way."""
    page.resize(1400, 2400)
    page.evaluate("window.panel.content.activeCellIndex = 0; document.querySelector('.jp-WindowedPanel-outer').scrollTop = 0")
    for number in range(1, 20):
        page.screenshot(f"jupyterlab-{name}-{number}.png")
        more = page.evaluate("""
            (() => {
              const view = document.querySelector('.jp-WindowedPanel-outer');
              const before = view.scrollTop;
              view.scrollTop = before + view.clientHeight - 80;
              return view.scrollTop > before;
            })()""")
        if not more:
            return


def test_a_pictures_words_fit_their_boxes(page):
    """No text of a node is wider than the picture of its node, in any picture."""
    loose = page.evaluate("""
        JSON.stringify([...document.querySelectorAll('.brooklet-dag svg')].flatMap(svg =>
          [...svg.querySelectorAll('g')].filter(g => g.querySelector(':scope > rect') && g.querySelector(':scope > text')).flatMap(g => {
            const box = g.querySelector(':scope > rect').getBoundingClientRect();
            return [...g.querySelectorAll(':scope > text')].filter(it => it.checkVisibility() && it.getBoundingClientRect().width > box.width + 1)
              .map(it => it.textContent);
          })))
    """)
    assert json.loads(loose) == []


def test_the_dark_theme_reaches_pictures_and_tables(page):
    def colours():
        return json.loads(page.evaluate("""
            JSON.stringify(['.brooklet-dag svg text', '.jp-OutputArea table td'].map(it => {
              const found = document.querySelector(it); const style = getComputedStyle(found);
              return found instanceof SVGElement ? style.fill : style.color; }))
        """))

    light = colours()
    page.evaluate("jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Dark' })")
    page.until("document.body.dataset.jpThemeLight === 'false'")
    page.painted()
    dark = colours()
    shoot_all(page, "dark")
    assert all(a != b for a, b in zip(light, dark)), (light, dark)
