"""The lessons: what they show is so, what they tell to type runs, their exercises can be done."""

from __future__ import annotations

import doctest
import re
import shlex
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from lastref.conformance.cli import main
from lastref.conformance.cli.verify import verify
from lastref.model.explore import Exploration, explore
from lastref.model.system import System, scenario

LESSONS = Path(__file__).resolve().parents[2] / "docs" / "lessons"
CHAPTERS = sorted(LESSONS.glob("[1-6]-*.md"))
EXERCISES = sorted((LESSONS / "exercises").glob("*.py"))

# For each exercise the law that breaks first with its number of steps, and what mends the file.
BREAKS = {
    "the_word": ("refs-are-holders", 2),
    "acquire_and_release": ("refs-are-holders", 4),
    "the_last_user_closes": ("no-use-after-close", 6),
    "wait_and_kill": ("no-wrong-process", 8),
    "look_again": ("no-use-after-close", 5),
    "one_too_many": ("done-implies-reaped", 4),
}
MENDS: dict[str, tuple[tuple[str, str], ...]] = {
    "the_word": (
        ("FEWER = old - 1 ", "FEWER = old - 1 | RELEASED "),
        ("import refs", "import RELEASED, refs"),
    ),
    "acquire_and_release": (
        ("UNCHANGED = TRUE", "UNCHANGED = word == old"),
        ("CHANGED_MEANWHILE = FALSE", "CHANGED_MEANWHILE = word != old"),
    ),
    "the_last_user_closes": (('AFTERWARDS = "release.close"', 'AFTERWARDS = "end"'),),
    "wait_and_kill": (
        ('{"wait.waitid", "kill.rlock"}', '{"wait.waitid", "kill.rlock", "wait.lock"}'),
        (
            '"wait.mark", "wait.reap", update={isdone: 1}),',
            '"wait.mark", "wait.lock", update={isdone: 1}),\n'
            '    command("wait.lock", "lock", "wait.lock", "wait.unlock",'
            " ~writer & (readers == 0), {writer: 1}),\n"
            '    command("wait.unlock", "unlock", "wait.unlock", "wait.reap", update={writer: 0}),',
        ),
    ),
    "look_again": (
        (
            "KILL = (",
            'KILL = (\n    command("kill.rlock", "rlock", "kill.rlock", "kill.load", ~writer,'
            " {readers: readers + 1}),\n"
            '    command("kill.runlock", "runlock", "kill.runlock", END,'
            " update={readers: readers - 1}),",
        ),
        ("blocking=frozenset()", 'blocking=frozenset({"kill.rlock", "release.lock"})'),
        ('"kill.load", END, field == 0', '"kill.load", "kill.runlock", field == 0'),
        ('"kill.again", END, field == 0', '"kill.again", "kill.runlock", field == 0'),
        ('send_signal("kill.send", END', 'send_signal("kill.send", "kill.runlock"'),
        ('"kill": "kill.load"', '"kill": "kill.rlock"'),
        (
            '"release.swap", "release.close", field == 1',
            '"release.swap", "release.lock", field == 1',
        ),
        (
            'close_handle("release.close", END),',
            'close_handle("release.close", "release.unlock"),\n'
            '    command("release.lock", "lock", "release.lock", "release.close",'
            " ~writer & (readers == 0), {writer: 1}),\n"
            '    command("release.unlock", "unlock", "release.unlock", END, update={writer: 0}),',
        ),
    ),
    "one_too_many": (
        (
            "CHANGED: tuple[Command, ...] = ()",
            "CHANGED: tuple[Command, ...] = tuple(\n"
            "    c\n"
            '    for m in ("wait", "signal", "kill")\n'
            "    for c in (\n"
            '        command(f"{m}.load", "load", f"{m}.load", f"{m}.cas",\n'
            "            (status(word) == 0) & (refs(word) != MAX_REFS), {old: word}),\n"
            '        command(f"{m}.load.full", "load", f"{m}.load", "end",\n'
            '            (status(word) == 0) & (refs(word) == MAX_REFS), None, "EAGAIN"),\n'
            "    )\n"
            ")",
        ),
        ("import Command, Law, shared", "import Command, Law, command, shared"),
        ("import GO_2024, word", "import GO_2024, old, word"),
        ("MAX_REFS, STATUS_MASK", "MAX_REFS, STATUS_MASK, refs, status"),
    ),
}


def loaded(source: str, name: str) -> ModuleType:
    """Return the module that ``source`` is."""
    module = ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
    return module


def explored(module: ModuleType) -> list[Exploration]:
    """Explore an exercise with each of its sets of threads."""
    return [explore(System(module.TABLE, scenario(*calls))) for calls in module.THREADS]


def test_there_are_six_lessons_with_an_exercise_each() -> None:
    """Each lesson ends with the command that checks its exercise, and links the next lesson."""
    assert len(CHAPTERS) == len(EXERCISES) == len(BREAKS) == len(MENDS) == 6
    for number, chapter in enumerate(CHAPTERS):
        text = chapter.read_text(encoding="utf-8")
        (exercise,) = re.findall(r"verify --design docs/lessons/exercises/(\w+)\.py", text)
        assert (LESSONS / "exercises" / f"{exercise}.py") in EXERCISES
        assert number == 5 or CHAPTERS[number + 1].name in text


@pytest.mark.parametrize("path", [*CHAPTERS, LESSONS / "README.md"], ids=lambda p: p.stem)
def test_every_link_leads_to_a_file(path: Path) -> None:
    """A link to another file of the lessons is not broken."""
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8"))
    assert links
    assert all((LESSONS / link).is_file() for link in links)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_what_a_lesson_shows_in_python_is_so(path: Path) -> None:
    """Every line typed at Python's prompt gives what stands below it."""
    shown = re.sub(r"^```.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    example = doctest.DocTestParser().get_doctest(shown, {}, path.name, str(path), 0)
    assert example.examples
    told: list[str] = []
    ended = doctest.DocTestRunner().run(example, out=told.append)
    assert ended.failed == 0, "".join(told)


def commands(path: Path) -> list[str]:
    """Return the command lines that a lesson tells to type."""
    blocks = re.findall(r"```console\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]


TYPED = sorted({line for path in CHAPTERS for line in commands(path)})


@pytest.mark.parametrize("line", TYPED)
def test_what_a_lesson_tells_to_type_runs(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command passes, and one on a broken design says that it is broken."""
    program, *arguments = shlex.split(line, comments=True)
    assert program == "lastref"
    shutil.copytree(LESSONS, tmp_path / "docs" / "lessons")
    monkeypatch.chdir(tmp_path)
    if "--design" in arguments and not any(p.name == "design" for p in verify.params):
        pytest.skip("lastref verify has no --design yet")
    code = main(arguments)
    if code == 3:
        pytest.skip("this machine cannot: see lastref doctor")
    assert code == int("--design" in arguments or line.endswith("# exits with 1"))


@pytest.mark.parametrize("path", EXERCISES, ids=lambda p: p.stem)
def test_the_exercise_breaks_as_its_lesson_says(path: Path) -> None:
    """The law that is broken soonest, and after how many steps."""
    found = explored(loaded(path.read_text(encoding="utf-8"), path.stem))[0]
    law, steps = BREAKS[path.stem]
    assert found.complete
    assert len(found.counterexamples[law].steps) == steps
    assert min(len(c.steps) for c in found.counterexamples.values()) == steps


def mended(path: Path) -> str:
    """Return the text of an exercise that was done."""
    source = path.read_text(encoding="utf-8")
    for old, new in MENDS[path.stem]:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    return source


@pytest.mark.parametrize("path", EXERCISES, ids=lambda p: p.stem)
def test_the_command_of_the_lesson_says_when_the_exercise_is_done(
    path: Path, tmp_path: Path
) -> None:
    """`lastref verify --design` passes on the mended file."""
    if not any(p.name == "design" for p in verify.params):
        pytest.skip("lastref verify has no --design yet")
    done = tmp_path / path.name
    done.write_text(mended(path), encoding="utf-8")
    assert main(["verify", "--design", str(done)]) == 0


@pytest.mark.parametrize("path", EXERCISES, ids=lambda p: p.stem)
def test_the_exercise_can_be_mended(path: Path) -> None:
    """With a small change no law is broken for any of its threads, and every sight is seen."""
    found = explored(loaded(mended(path), path.stem))
    for exploration in found:
        assert exploration.complete
        assert exploration.counterexamples == {}
    unseen = set.intersection(*(set(exploration.unseen) for exploration in found))
    assert unseen == set()
