"""Measures what an edit costs in a large flow, against a small one, with a real kernel and a real client.

    python3 benches/wave.py [--turns N]

A flow of 10 nodes in one file and one of 1,000 in 20 files, by turns; in each turn one function in the middle gets
another constant, and the last node is asked for. Medians and ratios.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

# Goes on in the environment of the tests, as `measure.py` does.
from measure import Kernel, executable, median, timed

# As long as a person takes from the editor to the notebook.
PAUSE = 6.0


class Flow:
    """Functions of integers, each of which takes the one before it and one further back."""

    def __init__(self, nodes, files):
        self.directory = pathlib.Path(tempfile.mkdtemp())
        self.target = f"n{nodes - 1}"
        self.edits = 0
        self.per_file = nodes // files
        for file in range(files):
            functions = map(self.function, range(file * self.per_file, (file + 1) * self.per_file))
            (self.directory / f"part{file:02}.rs").write_text("".join(functions))
        self.edited = nodes // 2
        self.kernel = Kernel(self.directory)
        self.kernel.ok("%watch " + " ".join(sorted(it.name for it in self.directory.glob("*.rs"))), timeout=3600)
        self.run()

    def function(self, number, constant=None):
        constant = number if constant is None else constant
        if number == 0:
            return f"/// The first.\npub fn n0(start: i64) -> i64 {{\n    start + {constant}\n}}\n\n"
        before, back = f"n{number - 1}", f"n{number * 2 // 3}"
        taken = f"{before}: i64" if before == back else f"{before}: i64, {back}: i64"
        return (
            f"/// Step {number}: what stood before it, turned a little.\n"
            f"pub fn n{number}({taken}) -> i64 {{\n"
            f"    let turned = {before}.rotate_left({number % 61});\n"
            f"    let mixed = turned ^ {back};\n"
            f"    mixed.wrapping_add({constant})\n"
            f"}}\n\n"
        )

    def edit(self):
        self.edits += 1
        file = self.edited // self.per_file
        first = file * self.per_file
        functions = [self.function(it, 1_000_000 + self.edits if it == self.edited else None) for it in range(first, first + self.per_file)]
        (self.directory / f"part{file:02}.rs").write_text("".join(functions))

    def run(self):
        return self.kernel.ok(f"%run {self.target} --input start=1", timeout=600)

    def close(self):
        self.kernel.close()
        shutil.rmtree(self.directory)


def after(flow, pause):
    flow.edit()
    time.sleep(pause)
    return timed(flow.run)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=15)
    options = parser.parse_args()
    prefix = tempfile.mkdtemp()
    subprocess.run([executable(), "install", "--prefix", prefix], check=True, capture_output=True)
    os.environ["JUPYTER_PATH"] = f"{prefix}/share/jupyter"
    small, large = Flow(10, 1), Flow(1000, 20)
    rows = [
        ("edit → result", lambda flow: after(flow, 0), options.turns),
        ("result, when the save was 6 s earlier", lambda flow: after(flow, PAUSE), max(3, options.turns // 3)),
        ("`%run` with nothing changed", lambda flow: timed(flow.run), options.turns * 5),
    ]
    print("| what | 10 nodes | 1,000 nodes in 20 files | ratio |\n|---|---|---|---|")
    for what, action, turns in rows:
        of_small, of_large = [], []
        for _ in range(turns):
            of_small.append(action(small))
            of_large.append(action(large))
        one, other = median(of_small), median(of_large)
        print(f"| {what} | {one * 1e3:.1f} ms | {other * 1e3:.1f} ms | {other / one:.1f} |", flush=True)
    small.close()
    large.close()


if __name__ == "__main__":
    main()
