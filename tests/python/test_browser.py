"""JupyterLab in a headless Chromium: opens the tour and runs it, and sees a save change what is shown.

Screenshots are kept (`SCREENSHOTS`); look at them, they are what users see.
"""

import json
import shutil

import pytest
from browser import REPOSITORY, RUN_ALL, Page, start_browser, start_lab

@pytest.fixture(scope="module")
def notebooks(tmp_path_factory):
    return shutil.copytree(REPOSITORY / "notebooks", tmp_path_factory.mktemp("lab") / "notebooks")


@pytest.fixture(scope="module")
def lab(notebooks, registered):
    server = start_lab(notebooks.parent, notebooks)
    yield server.url
    server.end()


@pytest.fixture(scope="module")
def page(lab, tmp_path_factory):
    browser = start_browser(tmp_path_factory.mktemp("profile"))
    page = Page(browser.address, 1400, 900)
    page.open(lab)
    yield page
    browser.end()


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
    assert page.evaluate(RUN_ALL % "tour.ipynb") == "brooklet"
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


def notebook(*cells):
    """A notebook of code cells."""
    cell = lambda source: {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": source}
    kernelspec = {"name": "brooklet", "display_name": "Rust (Brooklet)", "language": "rust"}
    return json.dumps({"cells": [cell(it) for it in cells], "metadata": {"kernelspec": kernelspec}, "nbformat": 4, "nbformat_minor": 4})


def save(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1
    draft = path.with_suffix(".draft")
    draft.write_text(text.replace(old, new))
    draft.replace(path)


def test_a_save_is_seen_without_a_key(page, notebooks):
    flow = notebooks / "live.rs"
    flow.write_text("use brooklet::prelude::*;\n\npub fn base(x: i64) -> i64 { x * 10 }\npub fn total(base: i64) -> i64 { base + 1 }\n")
    (notebooks / "live.ipynb").write_text(notebook("%watch live.rs\n%input x=2", "%run total", "total", "%dag", "let y = total * 2;\ny"))
    assert page.evaluate(RUN_ALL % "live.ipynb") == "brooklet"
    text = "[...document.querySelectorAll('.jp-OutputArea-output')].map(it => it.innerText).join('\\n')"
    page.until(f"{text}.includes('42')")
    save(flow, "x * 10", "x * 100")
    page.until(f"({text}.match(/stale: base changed/g) || []).length === 4")
    page.screenshot("jupyterlab-stale.png")
    page.evaluate("window.panel.sessionContext.session.kernel.requestExecute({ code: '%live on' }).done.then(() => 1)")
    page.until(f"{text}.includes('201') && ({text}.match(/stale: base/g) || []).length === 1")
    page.screenshot("jupyterlab-live.png")
    save(flow, "base + 1", "{ assert!(base < 0, \"not today\"); base }")
    page.until(f"{text}.includes('not today')")
    page.screenshot("jupyterlab-live-failed.png")
    save(flow, "{ assert!(base < 0, \"not today\"); base }", "base + 5")
    page.until(f"{text}.includes('205') && !{text}.includes('not today')")
