"""The examples of the help can be typed, and a shell completes what they are made of."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from lastref.conformance.cli import main
from lastref.conformance.cli.app import app
from lastref.conformance.cli.completing import VARIABLE
from lastref.conformance.cli.completion import SHELLS


def examples(command: click.Command) -> list[list[str]]:
    """Return the arguments in the examples of a command's help, without what is beside them."""
    lines = (command.epilog or "").partition("Examples:")[2].splitlines()
    typed = [re.search(r"\blastref (.+?)(?=\s{2,}| \||$)", line) for line in lines]
    return [shlex.split(re.split(r" >", found[1])[0]) for found in typed if found]


@pytest.mark.parametrize("name", sorted(app.commands))
def test_every_example_of_the_help_is_understood(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command shows at least one of its own, and all are parsed as if they were typed."""
    monkeypatch.chdir(tmp_path)
    shown = examples(app.commands[name])
    assert name in [first for first, *_ in shown]
    for typed in shown:
        with app.make_context("lastref", list(typed)) as context:
            app.commands[typed[0]].make_context(typed[0], typed[1:], parent=context)


def completions(
    line: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> list[str]:
    """Return what completes the last word of ``line``."""
    words = line.split(" ")
    monkeypatch.setenv(VARIABLE, "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    assert main([]) == 0
    return [found.partition(",")[2] for found in capfd.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("line", "among"),
    [
        ("lastref ex", {"explain", "explore"}),
        ("lastref explain go-6764", {"go-67640", "go-67641", "go-67642"}),
        ("lastref explore go-2024", {"go-2024"}),
        ("lastref designs go-2024/", {"go-2024/linux", "go-2024/windows"}),
        ("lastref check c-", {"c-pid", "c-pidfd"}),
        ("lastref verify --qu", {"--quick"}),
        ("lastref completion ", set(SHELLS)),
    ],
)
def test_commands_options_and_names_are_completed(
    line: str,
    among: set[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """What is offered begins with what was typed, and the expected is among it."""
    found = completions(line, monkeypatch, capfd)
    assert among <= set(found)
    assert all(name.startswith(line.rpartition(" ")[2]) for name in found)


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_its_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The script asks lastref in the way of its shell, and stands alone on stdout."""
    assert main(["completion", shell]) == 0
    out, err = capsys.readouterr()
    assert f"{VARIABLE}={shell}_complete" in out
    assert err == ""


def test_bash_completes_by_the_script(bash: str, tmp_path: Path) -> None:
    """A real bash that has read the script offers the commands that fit."""
    program = tmp_path / "lastref"
    run = shlex.join([sys.executable, "-m", "lastref.conformance.cli"])
    program.write_text(f'#!/bin/sh\nexec {run} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    script = (
        "source <(lastref completion bash); COMP_WORDS=(lastref expl); COMP_CWORD=1; "
        '_lastref_completion lastref; echo "${COMPREPLY[@]}"'
    )
    ended = subprocess.run(
        [bash, "--norc", "-c", script],
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout.split() == ["explain", "explore"], ended.stderr
