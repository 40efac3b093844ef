"""Saves that come close together: what a cell shows is what the files hold, whatever was compiled meanwhile.

Every function returns a constant that the test knows, so the value that is right needs no kernel to find out.
The pauses between saves are not waits for anything: they are what is tried. `BROOKLET_SERIES` says how many
random series are tried, `BROOKLET_SEED` which.
"""

import itertools
import os
import random
import shutil
import stat
import time

import pytest

from brooklet_client import Kernel

SERIES = int(os.environ.get("BROOKLET_SERIES", 60))
# As often as this a fresh kernel on the same files is asked too.
FRESH = 50
NAMES = ("one", "two", "three")
# Each breaks a file in another way: for the reader, for rustc, and as a save that was seen half done.
BROKEN = (
    "pub fn {name}() -> i64 {{ ",
    'pub fn {name}() -> i64 {{ "text" }}\n',
    "pub fn {name}() -> i64 {{ missing_name }}\n",
    "pub fn {name}() ->",
)
SUM = "pub fn total(one: i64, two: i64, three: i64) -> i64 { one * 1_000_000_000_000 + two * 1_000_000 + three }\n"

# No two contents of a file are ever the same by accident.
numbers = itertools.count(101)


def constant(number, name="bad"):
    return f"pub fn {name}() -> i64 {{ {number} }}\n"


def expected(contents):
    one, two, three = (contents[name] for name in NAMES)
    return one * 1_000_000_000_000 + two * 1_000_000 + three


def save(kernel, name, text, chance):
    """Saves as one of several editors does: in place, or by renaming over the old file."""
    path = kernel.directory / f"{name}.rs"
    if chance.random() < 0.5:
        path.write_text(text)
    else:
        beside = path.with_suffix(".tmp")
        beside.write_text(text)
        os.replace(beside, path)


def follow(kernel):
    """Watches three files and a fourth that sums up what they hold; the contents as they are."""
    contents = {name: next(numbers) for name in NAMES}
    for name, number in contents.items():
        kernel.write(f"{name}.rs", constant(number, name))
    kernel.write("total.rs", SUM)
    kernel.ok("%watch one.rs two.rs three.rs total.rs")
    return contents


def check(kernel, contents, story):
    """The value of the files as they are, or an error that stands in one of those that are broken."""
    broken = [name for name in NAMES if contents[name] is None]
    if not broken:
        reply = kernel.execute("%run total --as json")
        assert reply.status == "ok", f"{story}: {reply.describe()}"
        assert reply.json == {"total": expected(contents)}, story
        return
    error = kernel.fails("%run total --as json")
    told = error.value + error.traceback
    assert any(f"{name}.rs" in told for name in broken), f"{story}: {error}"
    whole = [name for name in NAMES if name not in broken]
    assert not any(f"--> {name}.rs" in told for name in whole), f"{story}: {error}"


def test_random_series_of_saves_are_shown_as_the_files_are(notebook, tmp_path):
    seed = int(os.environ.get("BROOKLET_SEED", random.randrange(1 << 32)))
    print(f"BROOKLET_SEED={seed}")
    chance = random.Random(seed)
    contents = follow(notebook)
    before = {name: [number] for name, number in contents.items()}
    check(notebook, contents, "at first")
    for number in range(1, SERIES + 1):
        story = []
        saves = chance.randint(2, 5)
        for position in range(saves):
            name = chance.choice(NAMES)
            how = chance.choices(("new", "undo", "break"), (4, 4, 2))[0]
            # A series that ends with a broken file shows only an error, so few do.
            if position == saves - 1 and how == "break" and chance.random() < 0.7:
                how = "undo"
            if how == "break":
                contents[name] = None
                save(notebook, name, chance.choice(BROKEN).format(name=name), chance)
            else:
                contents[name] = next(numbers) if how == "new" else chance.choice(before[name][-4:])
                before[name].append(contents[name])
                save(notebook, name, constant(contents[name], name), chance)
            pause = chance.uniform(0.005, 0.2)
            story.append(f"{how} {name} {contents[name]}, {pause * 1000:.0f} ms")
            time.sleep(pause)
        if chance.random() < 0.5:
            # All files whole again, as after the last save of a hurried minute.
            for name in NAMES:
                if contents[name] is None:
                    contents[name] = before[name][-1]
                    save(notebook, name, constant(contents[name], name), chance)
                    story.append(f"mend {name} {contents[name]}")
        check(notebook, contents, f"series {number} of seed {seed}: {'; '.join(story)}")
        if number % FRESH == 0:
            agrees_with_a_fresh_kernel(notebook, contents, tmp_path / str(number))


def agrees_with_a_fresh_kernel(kernel, contents, directory):
    directory.mkdir()
    for name in (*NAMES, "total"):
        shutil.copy(kernel.directory / f"{name}.rs", directory)
    other = Kernel(directory)
    try:
        other.execute("%watch one.rs two.rs three.rs total.rs")
        check(other, contents, "in a fresh kernel")
    finally:
        other.close()
    other.assert_no_process_left()


def test_a_save_during_a_run_gives_one_content_or_the_other(notebook):
    chance = random.Random(7)
    contents = follow(notebook)
    check(notebook, contents, "at first")
    for number in range(10):
        name, pause = chance.choice(NAMES), chance.uniform(0.005, 0.15)
        contents[name] = next(numbers)
        save(notebook, name, constant(contents[name], name), chance)
        older = expected(contents)
        request = notebook.start("%run total --as json")
        time.sleep(pause)
        name = chance.choice(NAMES)
        contents[name] = next(numbers)
        save(notebook, name, constant(contents[name], name), chance)
        reply = notebook.finish(request, "%run total --as json")
        assert reply.status == "ok" and reply.json["total"] in (older, expected(contents)), reply.describe()
        check(notebook, contents, f"run {number}, saved after {pause * 1000:.0f} ms")


# The cases that were seen


@pytest.mark.parametrize("pause", [0.014, 0.022, 0.03, 0.038, 0.046, 0.055])
def test_an_undo_shows_the_first_of_two_close_saves(notebook, pause):
    first, second = next(numbers), next(numbers)
    notebook.watch(constant(next(numbers)))
    notebook.ok("%run bad")
    notebook.write("flow.rs", constant(first))
    time.sleep(pause)
    notebook.write("flow.rs", constant(second))
    assert notebook.run("bad") == {"bad": second}
    notebook.write("flow.rs", constant(first))
    assert notebook.run("bad") == {"bad": first}


def test_an_undo_is_seen_by_rust_cells_and_after_a_restart(notebook):
    notebook.watch(constant(1))
    notebook.ok("%run bad")
    notebook.write("flow.rs", constant(100))
    time.sleep(0.03)
    notebook.write("flow.rs", constant(101))
    assert notebook.ok("bad + 1").result == "102"
    notebook.write("flow.rs", constant(100))
    assert notebook.ok("bad + 1").result == "101"
    notebook.ok("%restart")
    assert notebook.run("bad") == {"bad": 100}


@pytest.mark.parametrize("pause", [0.01, 0.03, 0.05])
def test_a_broken_save_between_two_equal_ones_leaves_no_error(notebook, pause):
    notebook.watch(constant(next(numbers)))
    notebook.ok("%run bad")
    for text in BROKEN:
        number = next(numbers)
        notebook.write("flow.rs", constant(number))
        time.sleep(pause)
        notebook.write("flow.rs", text.format(name="bad"))
        time.sleep(pause)
        notebook.write("flow.rs", constant(number))
        assert notebook.run("bad") == {"bad": number}
        assert notebook.run("bad") == {"bad": number}


@pytest.mark.parametrize("pause", [0.014, 0.03, 0.055])
@pytest.mark.parametrize("include", [
    'include_str!("words.txt")', 'std::str::from_utf8(include_bytes!("deep/words.txt")).unwrap()',
])
def test_included_files_are_what_was_read(notebook, include, pause):
    name = include.split('"')[1]
    first, second = next(numbers), next(numbers)

    def save_words(number):
        notebook.write(name, f"{number}\n", prelude=False)

    save_words(next(numbers))
    notebook.watch(f"pub fn words() -> i64 {{ {include}.trim().parse().unwrap() }}\n")
    notebook.ok("%run words")
    save_words(first)
    time.sleep(pause)
    save_words(second)
    assert notebook.run("words") == {"words": second}
    save_words(first)
    assert notebook.run("words") == {"words": first}


# Names of files, which rustc does not read where they are


def test_panics_errors_and_file_name_the_users_own_path(notebook):
    flow = """
pub fn {name}_file() -> String {{ file!().to_owned() }}
pub fn {name}_line() -> u32 {{ line!() }}
pub fn {name}_caller() -> String {{ std::panic::Location::caller().to_string() }}
pub fn {name}_panics(x: i64) -> i64 {{ if x > 0 {{ panic!("boom") }} x }}
"""
    files = {"top": "top.rs", "low": "more/low.rs"}
    for name, path in files.items():
        notebook.write(path, flow.format(name=name))
    notebook.ok("%watch top.rs more")
    for name, path in files.items():
        values = notebook.run(f"{name}_file", f"{name}_line", f"{name}_caller")
        assert values[f"{name}_file"] == path and values[f"{name}_line"] == 4
        assert values[f"{name}_caller"].startswith(f"{path}:5:")
        error = notebook.fails(f"%run {name}_panics --input x=1", "Panic")
        assert f"{path}:6" in error.traceback and "sessions" not in error.traceback


@pytest.mark.parametrize("path", ["top.rs", "more/low.rs"])
def test_compile_errors_stand_in_the_users_own_file(notebook, path):
    notebook.write(path, 'pub fn shown() -> i64 {\n    "text"\n}\n')
    notebook.execute(f"%watch {path}")
    error = notebook.fails("%run shown", "E0308")
    assert f"{path}:3:" in error.traceback and "sessions" not in error.traceback
    notebook.write(path, 'pub fn shown() -> i64 { include_str!("absent.txt").len() as i64 }\n')
    error = notebook.fails("%run shown")
    assert f"{path}:2:" in error.traceback and "absent.txt" in error.traceback
    assert "sessions" not in error.traceback


# Failures from outside


@pytest.fixture
def linker(tmp_path):
    """A kernel whose linker kills itself as long as a file is there; the kernel and that file."""
    flag = tmp_path / "no-linker"
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in ("cc", "ld"):
        real = shutil.which(name)
        if real is None:
            continue
        path = directory / name
        path.write_text(f'#!/bin/sh\nif [ -e "{flag}" ]; then kill -KILL $$; fi\nexec "{real}" "$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    kernel = Kernel(tmp_path, environment={"PATH": f"{directory}:{os.environ['PATH']}"})
    yield kernel, flag
    kernel.close()
    kernel.assert_no_process_left()


def test_a_linker_that_was_killed_is_no_error_of_the_file(linker):
    kernel, flag = linker
    kernel.watch(constant(1))
    assert kernel.run("bad") == {"bad": 1}
    flag.touch()
    kernel.write("flow.rs", constant(2))
    for _ in range(2):
        error = kernel.fails("%run bad", "BuildError")
        assert any(word in error.traceback for word in ("memory", "disk")), error
        assert "--> flow.rs" not in error.traceback
    flag.unlink()
    assert kernel.run("bad") == {"bad": 2}
    assert kernel.ok("bad + 1").result == "3"


def test_a_linker_that_was_killed_is_tried_again_after_a_restart(linker):
    kernel, flag = linker
    flag.touch()
    kernel.write("flow.rs", constant(3))
    kernel.execute("%watch flow.rs")
    kernel.fails("%run bad", "BuildError")
    flag.unlink()
    kernel.ok("%restart")
    assert kernel.run("bad") == {"bad": 3}
