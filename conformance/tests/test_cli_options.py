"""What the command line offers is explained, and what the documents name exists."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from lastref.conformance.cli import main
from lastref.conformance.cli.app import app
from lastref.conformance.sandbox import unavailable
from lastref.conformance.suite import all_cases

ROOT = Path(__file__).resolve().parents[2]
FLEET = Path(__file__).parent / "fleet" / "adapter.py"
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "conformance/PROTOCOL.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
CODE = re.compile(r"^```\w*\n(.*?)^```$|(?<!`)`([^`\n]+)`(?!`)", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(
    r"(?:^ *|\.venv/bin/|\$ |&& |: )lastref (?P<name>[a-z]+)\b(?P<rest>[^\n|]*)", re.MULTILINE
)


def options(command: click.Command) -> set[str]:
    """Return the names of a command's options, short ones too."""
    own = {name for each in command.params if isinstance(each, click.Option) for name in each.opts}
    other = {name for each in command.params for name in each.secondary_opts}
    return own | other | {"-h", "--help"}


def typed(path: Path) -> list[re.Match[str]]:
    """Return the commands of ours in a document's pieces of code."""
    pieces = CODE.findall(path.read_text(encoding="utf-8"))
    return [told for fence, span in pieces for told in COMMAND.finditer(fence or span)]


@pytest.mark.parametrize("name", sorted(app.commands))
def test_every_option_says_what_it_is_for(name: str) -> None:
    """A command and each of its options has a help text."""
    command = app.commands[name]
    assert command.help
    bare = [o.opts for o in command.params if isinstance(o, click.Option) and not o.help]
    assert not bare


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_documents_name_commands_and_options_that_exist(path: Path) -> None:
    """Whatever a document types after `lastref` is a command, and its options are the command's."""
    for told in typed(path):
        assert told["name"] in app.commands, told[0]
        for option in re.findall(r"(?<!\S)(--?[a-z][a-z-]*)", re.sub(r"'[^']*'", "", told["rest"])):
            assert option in options(app.commands[told["name"]]), told[0]


def test_the_documents_that_are_read_name_commands() -> None:
    """The search is not for nothing: every command of the program is named in a document."""
    assert set(app.commands) <= {told["name"] for path in DOCUMENTS for told in typed(path)}


def test_a_thread_can_give_a_signal_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    """--foreign is a thread that gives a foreign type, in a search and in an export."""
    assert main(["explore", "go-2024", "--foreign", "1", "--kill", "1"]) == 0
    assert "F1: foreign ‖ K1: kill" in capsys.readouterr().out
    assert main(["export", "go-2024", "--to", "promela", "--foreign", "1"]) == 0
    assert "foreign" in capsys.readouterr().out


def test_a_seed_gives_the_same_cases_in_another_order(capsys: pytest.CaptureFixture[str]) -> None:
    """--seed 0 keeps the order; another seed shuffles, alike every time, and loses none."""

    def listed(seed: int) -> list[str]:
        assert main(["check", "lastref-go-2024", "--list", "--seed", str(seed)]) == 0
        return capsys.readouterr().out.splitlines()

    usual = [case.id for case in all_cases()]
    assert listed(0) == usual
    assert listed(7) == listed(7) != usual
    assert sorted(listed(7)) == sorted(usual)


@pytest.mark.parametrize(("option", "code"), [("--validate", 2), ("--no-validate", 1)])
@pytest.mark.skipif(sys.platform != "linux", reason="the adapters of the fleet are Linux programs")
def test_messages_are_held_to_their_schema_unless_one_says_no(option: str, code: int) -> None:
    """An outcome that the protocol does not have: no message, or else none that is allowed."""
    adapter = f"'{sys.executable}' -S '{FLEET}' unknown-outcome"
    assert main(["check", adapter, "--case", "child/wait", option]) == code


@pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))
def test_a_round_of_a_stress_is_repeated_as_it_was_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The result has the seed and the threads; one round's programs need recycle no pid."""
    asked = ["--seed", "7", "--round", "12", "--threads", "2", "--operations", "200"]
    assert main(["stress", *asked, "--json"]) in (0, 3)
    found = json.loads(capsys.readouterr().out)
    assert (found["seed"], found["threads"]) == (7, 2)
    assert found["operations"] >= 200
    assert {check["verdict"] for check in found["checks"]} <= {"pass", "skipped"}


@pytest.mark.skipif(os.name != "posix", reason="makes a shell script")
def test_the_explorer_is_opened_in_the_browser_that_is_named(tmp_path: Path) -> None:
    """`play --open` hands the page that it wrote to $BROWSER."""
    browser, opened, site = (tmp_path / name for name in ("browser", "opened", "site"))
    browser.write_text(f'#!/bin/sh\necho "$1" >"{opened}"\n')
    browser.chmod(0o755)
    subprocess.run(
        [sys.executable, "-m", "lastref.conformance.cli", "play", "-o", str(site), "--open"],
        env={**os.environ, "BROWSER": str(browser)},
        capture_output=True,
        check=True,
    )
    assert opened.read_text().strip() == (site / "index.html").as_uri()


def test_what_cannot_be_installed_is_told_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """`adapters --install` names those that need something."""
    assert main(["adapters", "--install", "c-pid"]) == 2
    assert capsys.readouterr().err.startswith("lastref: nothing can be installed for 'c-pid': ")


@pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))
def test_a_replayed_trace_is_written_and_replays_from_the_file(tmp_path: Path) -> None:
    """--trace writes the steps by name; the file is what `lastref replay` takes, too."""
    file = tmp_path / "trace.json"
    schedule = "go-2023-pidfd/linux:kill,release:K1.K1.R1.R1.reopen.K1"
    assert main(["replay", schedule, "--trace", str(file)]) == 0
    steps = json.loads(file.read_text(encoding="utf-8"))["steps"]
    assert [step["command"] for step in steps][-1] == "kill.send.wrong"
    assert main(["replay", str(file)]) == 0
