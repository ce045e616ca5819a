"""The command line ends every run with an exit code, and every error with one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from lastref.conformance.cli import main
from lastref.conformance.cli.app import app
from lastref.conformance.cli.output import JsonTarget, conclude, json_option, progress
from lastref.conformance.cli.stress import by_the_clock
from lastref.conformance.errors import UserError
from lastref.conformance.results import Check, Result, Verdict, validate
from lastref.impl.errors import GuardRefused

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX pipes and devices")
Captured = pytest.CaptureFixture[str]
Register = Callable[[Callable[[], object]], None]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Register:
    """Give the group a command `try`, which does what the test says."""

    def register(action: Callable[[], object]) -> None:
        @click.command("try")
        @json_option
        def body(json_target: JsonTarget | None) -> None:
            made = action()
            if isinstance(made, Result):
                conclude(made, json_target)

        monkeypatch.setitem(app.commands, "try", body)

    return register


def result(verdict: Verdict, reason: str = "because") -> Result:
    """Return a result with one check of this verdict."""
    return Result("try", (Check("one", "replay", verdict, 3, 0.5, reason),))


def raising(error: BaseException) -> Callable[[], object]:
    """Return an action that raises the error."""

    def action() -> object:
        raise error

    return action


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the real program in a process of its own."""
    argv = [sys.executable, "-m", "lastref.conformance.cli", *arguments]
    settings: dict[str, object] = {"stdout": subprocess.PIPE, **options}
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        argv, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, check=False, **settings
    )


@pytest.mark.parametrize(
    ("verdict", "code"),
    [(Verdict.PASS, 0), (Verdict.BROKEN, 1), (Verdict.INCOMPLETE, 2), (Verdict.UNABLE, 3)],
)
def test_the_exit_code_is_the_verdicts(
    command: Register, capsys: Captured, verdict: Verdict, code: int
) -> None:
    """A command that concludes exits with its verdict's code and prints what it showed."""
    command(lambda: result(verdict))
    assert main(["try"]) == code
    table = capsys.readouterr().out
    assert "one" in table
    assert table.splitlines()[-1].startswith(f"try: {verdict} (1 {verdict}; ")


def test_an_empty_run_exits_as_incomplete(command: Register, capsys: Captured) -> None:
    """No check ran: exit code 2, and the closing line says so."""
    command(lambda: Result("try", ()))
    assert main(["try"]) == 2
    assert capsys.readouterr().out.startswith("try: incomplete (no check ran; ")


def test_a_command_that_reaches_no_verdict_is_a_bug(command: Register, capsys: Captured) -> None:
    """A command must conclude: one that just returns never counts as a pass."""
    command(lambda: None)
    assert main(["try"]) == 2
    assert "try ended without a verdict" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UserError("f", "r", "m"), 2, "lastref: f: r; m\n"),
        (UserError("f", "r", "m", exit_code=3), 3, "lastref: f: r; m\n"),
        (GuardRefused("kill(1, 9)", "not ours", "start it"), 2, "kill(1, 9): not ours; start it\n"),
        (KeyboardInterrupt(), 2, "lastref: interrupted: "),
        (KeyError("x"), 2, "lastref: a bug in lastref: KeyError: 'x'; "),
        (click.UsageError("odd value."), 2, "the command line is not understood: odd value; "),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_every_error_is_one_line(
    command: Register, capsys: Captured, error: BaseException, code: int, line: str
) -> None:
    """Whatever a command raises, stderr gets one line, stdout nothing, and no traceback."""
    command(raising(error))
    assert main(["try"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert line in err
    assert err.count("\n") == 1


def test_the_traceback_is_there_for_the_asking(
    command: Register, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LASTREF_TRACEBACK=1 prints where an error was raised, before the line."""
    monkeypatch.setenv("LASTREF_TRACEBACK", "1")
    command(raising(KeyError("x")))
    assert main(["try"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.splitlines()[-1].startswith("lastref: a bug in lastref")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Missing command"),
        (["nonsense"], "No such command 'nonsense'"),
        (["--nonsense"], "No such option"),
        (["doctor", "--nonsense"], "see 'lastref doctor --help'"),
        (["doctor", "extra"], "unexpected extra argument"),
    ],
)
def test_a_bad_command_line_is_one_line(capsys: Captured, arguments: list[str], told: str) -> None:
    """Fault, reason and remedy, and exit code 2."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("lastref: the command line is not understood: ")
    assert told in err
    assert err.count("\n") == 1


def test_every_command_has_help_and_json(capsys: Captured) -> None:
    """Each registered command explains itself, with an example, and takes --json."""
    assert app.commands
    for name in app.commands:
        assert main([name, "--help"]) == 0
        text = capsys.readouterr().out
        assert "--json [FILE]" in text
        assert f"lastref {name}" in text.partition("Example")[2]


def test_json_on_stdout_stands_alone(command: Register, capsys: Captured) -> None:
    """With --json and no file, stdout is the one object; the table goes to stderr."""
    command(lambda: result(Verdict.PASS))
    assert main(["try", "--json"]) == 0
    out, err = capsys.readouterr()
    validate(json.loads(out))
    assert "try: pass" in err


def test_json_in_a_file_leaves_the_table_on_stdout(
    command: Register, capsys: Captured, tmp_path: Path
) -> None:
    """With --json FILE the file is the one object, replaced whole, and nothing is left beside."""
    file = tmp_path / "result.json"
    file.write_text("old")
    command(lambda: result(Verdict.BROKEN))
    assert main(["try", "--json", str(file)]) == 1
    validate(json.loads(file.read_text(encoding="utf-8")))
    assert "try: broken" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_to_the_result_stays_a_link(command: Register, tmp_path: Path) -> None:
    """The file behind a symbolic link is replaced, not the link."""
    file, link = tmp_path / "result.json", tmp_path / "link.json"
    file.write_text("old")
    try:
        link.symlink_to(file)
    except OSError as error:
        pytest.skip(f"no symbolic link can be made here: {error.strerror}")
    if not link.is_symlink():
        pytest.skip("no symbolic link can be made here: the system gives a copy instead")
    command(lambda: result(Verdict.PASS))
    assert main(["try", "--json", str(link)]) == 0
    assert link.is_symlink()
    validate(json.loads(file.read_text(encoding="utf-8")))


@posix
def test_a_pipe_given_as_the_file_stays_a_pipe(command: Register, tmp_path: Path) -> None:
    """A target that is no regular file is written to; renaming over it would destroy it."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    command(lambda: result(Verdict.PASS))
    assert main(["try", "--json", str(fifo)]) == 0
    validate(json.loads(os.read(reader, 1 << 16)))
    os.close(reader)
    assert fifo.is_fifo()


@pytest.mark.parametrize("name", ["none/result.json", "."])
def test_a_file_that_cannot_be_written_is_told_before_the_work(
    command: Register, capsys: Captured, tmp_path: Path, name: str
) -> None:
    """A missing directory, or a directory for a file, is refused before the command runs."""
    ran: list[bool] = []
    command(lambda: ran.append(True))
    assert main(["try", "--json", str(tmp_path / name)]) == 2
    assert capsys.readouterr().err.startswith("lastref: cannot write ")
    assert not ran


def test_a_result_that_cannot_be_written_leaves_the_old_one(
    command: Register, capsys: Captured, tmp_path: Path
) -> None:
    """An error while writing is told on one line, and the old file is whole."""
    file = tmp_path / "result.json"
    file.write_text("old")

    def make() -> Result:
        (tmp_path / f".result.json.{os.getpid()}.tmp").mkdir()  # in the way
        return result(Verdict.PASS)

    command(make)
    assert main(["try", "--json", str(file)]) == 2
    assert "lastref: cannot write " in capsys.readouterr().err
    assert file.read_text() == "old"


@posix
def test_a_closed_pipe_is_no_broken_law() -> None:
    """A reader that went away gets exit code 2, not 1, and nobody a traceback."""
    reader, writer = os.pipe()
    os.close(reader)
    ended = run("--help", stdout=writer)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (2, "")


@posix
def test_a_closed_pipe_under_a_table_is_no_broken_law() -> None:
    """The same for a result that is printed."""
    reader, writer = os.pipe()
    os.close(reader)
    ended = run("doctor", stdout=writer)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (2, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["doctor"], ["doctor", "--json"]], ids=" ".join)
def test_a_full_disk_under_stdout_is_one_line(arguments: list[str]) -> None:
    """An output that cannot be written is told, with exit code 2."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        ended = run(*arguments, stdout=full)
    assert ended.returncode == 2
    told = "lastref: cannot write standard output: No space left on device; "
    assert ended.stderr.splitlines()[-1].startswith(told)


def test_a_terminal_without_the_letters_gets_escapes() -> None:
    """A table is printed in any encoding: what it lacks is escaped."""
    program = (
        "from lastref.conformance.cli.app import _make_unprintable_text_printable as make\n"
        "make(); print('Wait \\u2016 Signal')"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True)
    assert ended.stdout.split() == [b"Wait", b"\\u2016", b"Signal"]


def test_a_reason_is_printed_as_it_is(command: Register, capsys: Captured) -> None:
    """Square brackets in a reason are text, not markup."""
    command(lambda: result(Verdict.BROKEN, "word is [red]0[/red]"))
    main(["try"])
    assert "word is [red]0[/red]" in capsys.readouterr().out


def test_progress_is_quiet_where_there_is_no_terminal(capsys: Captured) -> None:
    """A log does not fill with progress; the work goes on all the same."""
    with progress("replay", total=2) as advance:
        advance(1)
        advance(1)
    assert capsys.readouterr() == ("", "")


def test_the_program_can_be_run_as_a_module() -> None:
    """`python -m lastref.conformance.cli` is the same program."""
    ended = run("--version")
    assert ended.returncode == 0
    assert ended.stdout.startswith("lastref ")


def test_progress_on_a_terminal_counts_to_the_true_total(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a person looks on, the line says what runs and how much of it is done; on stderr."""
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes the stream for a terminal
    with progress("replay", total=2) as advance:
        advance(1)
        advance(1)
    out, err = capsys.readouterr()
    assert out == ""
    assert "replay" in err
    assert "2/2" in err


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_no_color_takes_the_colours_away(
    command: Register,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    no_color: str,
    coloured: bool,
) -> None:
    """A pass is green on a terminal, and a plain word where NO_COLOR is set."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", no_color)
    command(lambda: result(Verdict.PASS))
    main(["try"])
    out = capsys.readouterr().out
    assert "pass" in out
    assert ("\x1b[32m" in out) == coloured


def test_a_stress_counts_the_seconds_that_it_was_given() -> None:
    """Its progress has a true total: whole seconds since it began, never more than asked for."""
    clock = iter([100.0, 100.4, 102.9, 103.1, 250.0])
    told: list[int] = []
    tell = by_the_clock(told.append, 5, lambda: next(clock))
    for _ in range(4):
        tell(1000)
    assert told == [0, 2, 1, 2]
