"""Whatever is wrong with a table of one's own: one line, with fault, reason and remedy."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastref.conformance.cli import main
from lastref.conformance.design_template import TABLE
from lastref.conformance.errors import Complaint
from lastref.conformance.own_design import load, template
from lastref.model.algebra import TRUE, var
from lastref.model.designs import get
from lastref.model.explore import explore
from lastref.model.system import System, scenario
from lastref.model.table import Command, DesignError, Law, Must, Table, Variable, command
from lastref.model.wellformed import check_design

USED = """
from dataclasses import replace
from lastref.conformance.design_template import *
from lastref.conformance.design_template import TABLE as GOOD
from lastref.model.algebra import *
from lastref.model.table import *
"""


def altered(change: str, then: str = "") -> str:
    """Return a file whose table is the template's with a change."""
    return f"{USED}TABLE = replace(GOOD, {change})\n{then}\n"


def stepped(arguments: str) -> str:
    """Return a file whose table has one more command."""
    return altered(f"commands=(*USE, *CLOSE, command('x', 'load', {arguments}))")


WRONG: dict[str, tuple[str, str]] = {
    # the file
    "empty": ("", "has no design"),
    "no table": ("x = 1", "has no design"),
    "a table that is none": ("TABLE = 1", "a TABLE that is a int"),
    "no Python": ("TABLE = (", "line 1"),
    "a null byte": ("x = '\0'", "is no Python"),
    "a failing line": ("x = 1\n\n1 / 0", "line 3: ZeroDivisionError"),
    "a bare failure": ("raise ValueError", "ValueError"),
    "no such module": ("import nothing_like_that", "line 1: ModuleNotFoundError"),
    "no such name": ("from lastref.model.table import nothing", "ImportError"),
    "a missing file": ("open('no such file')", "line 1: FileNotFoundError"),
    "another file's fault": ("import json\njson.loads('{')", "line 2: JSONDecodeError"),
    "bad source that it reads": ("compile('a b', 'other', 'exec')", "SyntaxError"),
    "an exit": ("import sys\nsys.exit(0)", "line 2: it calls exit()"),
    "endless recursion": ("def f(): f()\nf()", "RecursionError"),
    # the table
    "no arguments": (USED + "TABLE = Table()", "missing"),
    "an id that is a number": (altered("id=7"), "the id of a table is a int, 7"),
    "an empty id": (altered("id=''"), "the id of a table is empty"),
    "one variable, no tuple": (altered("shared=word"), "they are a tuple"),
    "a name for a variable": (altered("shared=('word',)"), "what shared() and local()"),
    "a variable in both": (altered("shared=(word, handle, old)"), "declared with local()"),
    "a variable twice": (altered("shared=(word, word, handle)"), "'word' twice"),
    "a variable left out": (altered("shared=(word,)"), "uses handle"),
    "commands in a list of lists": (altered("commands=[[*USE]]"), "has a list"),
    "a string for a command": (altered("commands=('load',)"), "what command() returns"),
    "no commands": (altered("commands=()"), "no command leaves that location"),
    "methods in a list": (altered("methods=['use']"), "they map a name to"),
    "no methods": (altered("methods={}"), "has no methods"),
    "a method that starts nowhere": (altered("methods={'use': 'x'}"), "starts at 'x'"),
    "two calls for a method": (altered("methods={'a;b': 'use.load'}"), "without ; and |"),
    "a method left out": (altered("methods={'use': 'use.load'}"), "can never be taken"),
    "a kernel that is a thread": (altered("kernel=USE"), "make it with kernel_command()"),
    "a kernel with locals": (
        altered("kernel=(kernel_command('x', old == 0, {old: 1}),)"),
        "none of the threads' own variables",
    ),
    "a word for holding": (altered("holding='use.use'"), "it is a set of locations"),
    "holding somewhere else": (altered("holding=frozenset({'x'})"), "the location 'x'"),
    "blocking somewhere else": (altered("blocking={'x'}"), "the location 'x'"),
    "a start of nothing": (altered("starts={'start': {'x': 1}}"), "sets 'x'"),
    "a start too large": (altered("starts={'start': {'word': 1 << 32}}"), "hold 0 to"),
    # its variables
    "no width": (USED + "w = shared('w')", "missing"),
    "a width of 65": (altered("shared=(shared('x', 65, ''), word, handle)"), "65 bits"),
    "a width in words": (altered("shared=(shared('x', '8', ''), word, handle)"), "'8' bits"),
    "a name with a blank": (altered("shared=(shared('x y', 8, ''), word)"), "named 'x y'"),
    "holders": (altered("shared=(shared('holders', 8, ''), word)"), "named 'holders'"),
    "a large beginning": (
        altered("shared=(shared('x', 8, '', initial=256), word, handle)"),
        "8 unsigned bits hold 0 to 255",
    ),
    # its commands
    "a bool for a guard": (
        stepped("'use.load', END, True"),
        "is a bool, True",
    ),
    "a number for a guard": (
        stepped("'use.load', END, word"),
        "is not a boolean",
    ),
    "and for &": (USED + "x = (word == 1) and (word == 2)", "line 7: the truth of"),
    "a comparison chain": (USED + "x = 1 < word < 2", "the truth of"),
    "operands of two widths": (USED + "x = word == handle", "does not type"),
    "a constant too large": (USED + "x = word == 1 << 40", "is out of range"),
    "a text in an expression": (USED + "x = word + 'one'", "stands in an expression"),
    "an update of a name": (stepped("'use.load', END, TRUE, {'word': 1}"), "sets 'word'"),
    "an update in a list": (stepped("'a', END, TRUE, [word, 1]"), "is a list"),
    "an update to a text": (
        stepped("'a', END, TRUE, {word: '1'}"),
        "a str is neither",
    ),
    "an update of another width": (
        stepped("'use.load', END, TRUE, {word: handle}"),
        "to a value of 2 bits",
    ),
    "a way to nowhere": (
        stepped("'use.load', 'x'"),
        "goes to 'x'",
    ),
    "nobody comes here": (
        stepped("'x', END"),
        "can never be taken",
    ),
    "on from the end": (
        stepped("END, END"),
        "stands at 'end'",
    ),
    "a law it does not have": (altered("laws=LAWS[4:]"), "refers to the law"),
    "an obligation in words": (
        stepped("'use.load', END, TRUE, None, None, ['x']"),
        "an obligation is a Must",
    ),
    # its laws
    "one law, no tuple": (altered("laws=LAWS[0]"), "they are a tuple"),
    "a kind that is none": (altered("laws=(*LAWS, Law('x', 'never', ''))"), "'never'"),
    "a law of a number": (altered("laws=(*LAWS, Law('x', 'always', '', word))"), "boolean"),
    "a law of a thread's own": (
        altered("laws=(*LAWS, Law('x', 'always', '', old == 0))"),
        "law 'x' of design mine",
    ),
    "a law of what comes after": (
        altered("laws=(*LAWS, Law('x', 'always', '', after(word) == 0))"),
        "a step law",
    ),
    "a sight of nothing": (
        altered("laws=(*LAWS, Law('x', 'sometimes', '', shown_by={'y'}))"),
        "uses y",
    ),
    "shown by a text": (
        altered("laws=(*LAWS, Law('x', 'sometimes', '', shown_by='y'))"),
        "a set of commands",
    ),
    # its threads
    "no threads": (altered("", "THREADS = ()"), "names nothing to explore"),
    "calls, no mixes": (altered("", "THREADS = ('use', 'close')"), "a comma after"),
    "numbers of threads": (altered("", "THREADS = ((1, 2),)"), "names nothing to explore"),
    "a number": (altered("", "THREADS = 7"), "names nothing to explore"),
    "an empty mix": (altered("", "THREADS = ((),)"), "names nothing to explore"),
    "a method it does not have": (altered("", "THREADS = (('open',),)"), "no method 'open'"),
    "an empty call": (altered("", "THREADS = (('use', ''),)"), "no method ''"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, case: str
) -> None:
    """Exit code 2, nothing on stdout, no traceback, no bug: the fault, the reason, the remedy."""
    text, told = WRONG[case]
    file = tmp_path / "mine.py"
    file.write_text(text, encoding="utf-8")
    assert main(["verify", "--design", str(file)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert_three_parts(err)


def assert_three_parts(line: str) -> None:
    """Assert that a line has a fault, a reason and a remedy, and that none is empty."""
    fault, _, rest = line.removeprefix("lastref: ").partition(": ")
    reason, _, remedy = rest.rpartition("; ")
    assert all(part.strip() for part in (fault, reason, remedy)), line
    assert "bug in lastref" not in line
    assert line.count("\n") == 1


@pytest.mark.parametrize("content", [b"\xff\xfe\x00x", b"TABLE = '\xe9'"])
def test_a_file_that_is_no_text_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes
) -> None:
    """Bytes in some other encoding are no Python."""
    (tmp_path / "mine.py").write_bytes(content)
    assert main(["verify", "--design", str(tmp_path / "mine.py")]) == 2
    assert "is no Python" in capsys.readouterr().err


def test_a_folder_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A folder is no design, even one that Python could run."""
    (tmp_path / "__main__.py").write_text("TABLE = 1", encoding="utf-8")
    assert main(["verify", "--design", str(tmp_path)]) == 2
    assert "it is a directory" in capsys.readouterr().err


def test_what_a_file_prints_does_not_get_into_the_result(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Standard output is the command's own; the file's words go to standard error."""
    (tmp_path / "mine.py").write_text(template() + "print('hello')\n", encoding="utf-8")
    assert main(["designs", str(tmp_path / "mine.py"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("{")
    assert "hello" in err


JUNK: tuple[Any, ...] = (
    *(None, True, 0, 1, -1, 1 << 70, 1.5, "", "x", "end", "use.load", "a;b", b"x", (), [], {}),
    *((None,), ("x",), [1], {"x": 1}, {"use": None}, {1: "use.load"}, frozenset({1}), object()),
    *(TRUE, var("x", 32), var("word", 8), TABLE, TABLE.commands, TABLE.laws, TABLE.shared),
    *((Must("x", TRUE),), {"start": 3}, {"start": {"word": "1"}}, TABLE.commands[0], len),
)
PARTS: dict[str, type] = {"table": Table, "command": Command, "law": Law, "must": Must}


def spoilt(part: str, name: str, junk: Any) -> Table:
    """Return the template's table with one field of one part replaced."""
    if part == "table":
        return replace(TABLE, **{name: junk})
    if part == "law":
        return replace(TABLE, laws=(replace(TABLE.laws[0], **{name: junk}), *TABLE.laws[1:]))
    first = TABLE.commands[4]
    assert first.must
    if part == "must":
        changed = replace(first, must=(replace(first.must[0], **{name: junk}),))
    else:
        changed = replace(first, **{name: junk})
    return replace(TABLE, commands=(*TABLE.commands[:4], changed, *TABLE.commands[5:]))


FIELDS = [(part, f.name) for part, kind in PARTS.items() for f in fields(kind)]


@settings(deadline=None)
@given(where=st.sampled_from(FIELDS), junk=st.sampled_from(JUNK))
def test_whatever_stands_in_a_field_is_refused_or_can_be_explored(
    where: tuple[str, str], junk: Any
) -> None:
    """No other error comes out of a table, be it when it is made or when it is searched."""
    part, name = where
    try:
        table = spoilt(part, name, junk)
        check_design(table)
    except DesignError as error:
        assert_three_parts(f"lastref: {Complaint(error.fault, error.reason, error.remedy)}\n")
        return
    explore(System(table, scenario(*table.methods)), limit=30)


@settings(deadline=None)
@given(
    name=st.sampled_from(["name", "width", "doc", "initial", "scope", "labels"]),
    junk=st.sampled_from(JUNK),
)
def test_whatever_a_variable_is_made_of(name: str, junk: Any) -> None:
    """The same for the fields of a variable."""
    values: dict[str, Any] = {"scope": "shared", "name": "x", "width": 8, "doc": "", "initial": 0}
    values |= {"labels": (), name: junk}
    try:
        table = replace(TABLE, shared=(*TABLE.shared, Variable(**values)))
        check_design(table)
    except DesignError as error:
        assert_three_parts(f"lastref: {Complaint(error.fault, error.reason, error.remedy)}\n")
        return
    explore(System(table, scenario("use", "close")), limit=30)


@pytest.mark.parametrize("design", ["dotnet-safehandle", "go-fdmutex", "go-2016/unix"])
def test_a_design_that_ships_is_a_file_to_begin_with(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, design: str
) -> None:
    """Its file, with the TABLE named, loads, and is the very table."""
    assert main(["designs", design, "--template"]) == 0
    (tmp_path / "mine.py").write_text(capsys.readouterr().out, encoding="utf-8")
    table, mixes = load(tmp_path / "mine.py")
    name, _, platform = design.partition("/")
    assert (table.id, len(table.commands)) == (name, len(get(name, platform or "any").commands))
    assert mixes


def test_the_template_verifies_and_its_fault_is_found(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Out of the box it passes; with the reference taken away the schedule that breaks is drawn."""
    assert main(["designs", "--template"]) == 0
    text = capsys.readouterr().out
    file = tmp_path / "mine.py"
    file.write_text(text, encoding="utf-8")
    assert main(["verify", "--design", str(file)]) == 0
    assert "verify: pass (5 pass" in capsys.readouterr().out
    counted = "{word: old + 1, old: 0}"
    assert counted in text
    file.write_text(text.replace(counted, "{old: 0}"), encoding="utf-8")
    assert main(["verify", "--design", str(file)]) == 1
    assert "breaks no-" in capsys.readouterr().out


def test_every_command_takes_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """designs, explore and export read a table of one's own like one that ships."""
    file = tmp_path / "mine.py"
    file.write_text(template(), encoding="utf-8")
    assert main(["designs", str(file)]) == 0
    assert main(["explore", str(file), "--thread", "use", "--thread", "close"]) == 0
    assert "30 states" in capsys.readouterr().out
    for form in ("promela", "tla", "dot"):
        words = ["--to", form, "--thread", "use", "--thread", "close"]
        assert main(["export", str(file), *words]) == 0
    assert main(["designs", str(file), "--platform", "linux"]) == 2
    assert "its table is on any" in capsys.readouterr().err
    assert main(["designs", str(file), "--template"]) == 2
    assert "is no design that ships" in capsys.readouterr().err


def test_a_name_of_a_thread_can_be_used_alone() -> None:
    """A command by itself is made without a table, and refuses what it can refuse by itself."""
    with pytest.raises(DesignError, match="an update sets"):
        command("x", "load", "a", "end", TRUE, {"word": 1})  # type: ignore[dict-item]
