"""From a save to changed pixels in JupyterLab, with live mode on: the tour's transforms, a mean that an edit changes.

    python benches/live.py [ROUNDS]

Needs Chromium and the packages of `tests/python/requirements.txt`; `BROOKLET` is the executable, as for the tests. Prints
each round and the median, beside what an edit takes that is followed by executing the cell.
"""

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests" / "python"))

from browser import RUN_ALL, Page, start_browser, start_lab  # noqa: E402

CELLS = [
    "%watch transforms/channels.rs transforms/marketing.rs",
    "%input daily=data/daily.csv budget_path=data/budget.csv opening_customers=2400",
    "%run day weekly_spend weekly_signups acquisition_cost",
    "spend_mean",
    "budget_review",
    "%dag",
    "%live on",
]
SHOWN = "window.panel.content.widgets[3].outputArea.node.innerText"
# The moment at which the browser has painted what a condition asks for.
PAINTED = """
new Promise(done => {
  const look = () => (%s) ? requestAnimationFrame(() => requestAnimationFrame(() => done(Date.now()))) : setTimeout(look, 5);
  look();
})
"""
RERUN = "window.panel.content.activeCellIndex = 3; jupyterapp.commands.execute('notebook:run-cell'); 1"


def notebook():
    cells = [{"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": it} for it in CELLS]
    kernelspec = {"name": "brooklet", "display_name": "Rust (Brooklet)", "language": "rust"}
    return json.dumps({"cells": cells, "metadata": {"kernelspec": kernelspec}, "nbformat": 4, "nbformat_minor": 4})


def main(rounds):
    directory = pathlib.Path(tempfile.mkdtemp())
    subprocess.run([os.environ["BROOKLET"], "install", "--prefix", directory / "prefix"], check=True, stdout=subprocess.DEVNULL)
    os.environ["JUPYTER_PATH"] = str(directory / "prefix" / "share" / "jupyter")
    notebooks = shutil.copytree(REPOSITORY / "notebooks", directory / "notebooks")
    (notebooks / "live.ipynb").write_text(notebook())
    lab, browser = start_lab(directory, notebooks), start_browser(directory / "profile")
    try:
        page = Page(browser.address, 1400, 2400)
        page.open(lab.url)
        page.evaluate(RUN_ALL % "live.ipynb")
        file = notebooks / "transforms" / "marketing.rs"
        text = file.read_text()
        old = "spend.mean().unwrap_or(f64::NAN)"
        assert text.count(old) == 1
        base = float(page.evaluate(SHOWN).split()[0])

        def edit(number):
            draft = file.with_suffix(".draft")
            draft.write_text(text.replace(old, f"{old} + {number}.0"))
            before = page.evaluate("Date.now()")
            draft.replace(file)
            return before, f"{SHOWN}.startsWith('{base + number:.2f}'.slice(0, 6)) && !{SHOWN}.includes('stale')"

        times = {"a save, live": [], "a save and the cell": []}
        for number in range(1, rounds + 1):
            before, condition = edit(1000 * number)
            times["a save, live"].append(page.evaluate(PAINTED % condition) - before)
        page.evaluate("window.panel.sessionContext.session.kernel.requestExecute({ code: '%live off' }).done.then(() => 1)")
        for number in range(rounds + 1, 2 * rounds + 1):
            before, condition = edit(1000 * number)
            page.evaluate(RERUN)
            times["a save and the cell"].append(page.evaluate(PAINTED % condition) - before)
        for what, all_times in times.items():
            print(f"{what}: median {statistics.median(all_times):.0f} ms of {[round(it) for it in all_times]}")
    finally:
        browser.end()
        lab.end()
        shutil.rmtree(directory, ignore_errors=True)


main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
