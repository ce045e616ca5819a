"""A result in other formats: each keeps apart what the result keeps apart."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft7Validator

from lastref.conformance.exports.badge import badge
from lastref.conformance.exports.junit import junit
from lastref.conformance.exports.markdown import markdown
from lastref.conformance.exports.sarif import sarif
from lastref.conformance.outcomes import Outcome, Status
from lastref.conformance.results import Check, Result, Verdict

OUTCOMES = [
    Outcome("child/wait", Status.PASS, seconds=0.25),
    Outcome("child/kill", Status.DEVIATES, "kill gave <nil> & \x00more", history=("kill?",)),
    Outcome("child/kill.kill", Status.DEVIATES, "kill gave <nil> & \x00more"),
    Outcome("zombie/wait", Status.CRASH, "it exited with 3", wait_status=768),
    Outcome("zombie/kill", Status.TIMEOUT, "it did not answer"),
    Outcome("found/wait", Status.PROTOCOL_ERROR, "half a line"),
    Outcome("found/kill", Status.NOT_SUPPORTED, "no find"),
    Outcome("missing/kill", Status.PRECONDITION_FAILED, "no object"),
]


def document(outcomes: list[Outcome] = OUTCOMES) -> dict[str, Any]:
    """Return the published document of a run with these outcomes."""
    return Result("check", tuple(o.check("x", "go-2024/linux") for o in outcomes)).document()


def test_junit_tells_failures_errors_and_skips_apart() -> None:
    """A deviation is a failure; a crash, a timeout and a protocol error are errors."""
    root = ElementTree.fromstring(junit(document()).partition("\n")[2])
    kinds = {case.get("name"): [child.tag for child in case] for case in root.iter("testcase")}
    assert kinds == {
        "child/wait": [],
        "child/kill": ["failure"],
        "child/kill.kill": ["failure"],
        "zombie/wait": ["error"],
        "zombie/kill": ["error"],
        "found/wait": ["error"],
        "found/kill": ["skipped"],
        "missing/kill": ["skipped"],
    }
    (suite,) = root
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "8", "failures": "2", "errors": "3", "skipped": "2"}
    del counts["skipped"]  # which the schema does not have here
    assert {name: root.get(name) for name in counts} == counts


# junit-10.xsd of Jenkins's xUnit plugin: for each element that is written, its attributes (those
# that must be there, those that may) and its children.
JUNIT: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": (set(), {"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors"},
        {"group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "url"},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name"},
        {"time", "classname", "group"},
        {"skipped", "error", "failure", "properties", "system-out", "system-err"},
    ),
    "failure": (set(), {"type", "message"}, set()),
    "error": (set(), {"type", "message"}, set()),
    "skipped": (set(), {"type", "message"}, set()),
}


def test_junit_has_what_its_schema_has_and_nothing_else() -> None:
    """Every element, attribute and time is one of junit-10.xsd's."""
    root = ElementTree.fromstring(junit(document()).partition("\n")[2])
    for element in root.iter():
        must, may, children = JUNIT[element.tag]
        assert must <= set(element.attrib) <= must | may, element.tag
        assert {child.tag for child in element} <= children
        if "time" in element.attrib:
            assert re.fullmatch(r"\d+\.\d{3}", element.attrib["time"])


def test_junit_is_xml_whatever_an_implementation_says() -> None:
    """A control character in a message cannot make the file unreadable."""
    root = ElementTree.fromstring(junit(document()).partition("\n")[2])
    assert "kill gave <nil> & \ufffdmore" in {f.get("message") for f in root.iter("failure")}


def test_sarif_reports_what_is_wrong_and_only_that() -> None:
    """One result for each broken or incomplete check, each with a rule that is listed."""
    (run,) = json.loads(sarif(document()))["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert [result["ruleId"] for result in run["results"]] == rules
    assert rules == ["child/kill", "child/kill.kill", "zombie/wait", "zombie/kill", "found/wait"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("error", "warning")
        assert result["message"]["text"]
        assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"]
    assert run["invocations"][0]["exitCode"] == 1


FOUND = OUTCOMES[1].check("my adapter", "go-2024/linux")
ABSENT = Check("go", "adapter", Verdict.UNABLE, 0, reason="'go' was not found on PATH")


@pytest.mark.parametrize(
    "checks",
    [
        tuple(outcome.check("x", "go-2024/linux") for outcome in OUTCOMES),
        (FOUND,),
        (replace(FOUND, extra={**FOUND.extra, "trace": "found 1.json"}),),
        (replace(FOUND, id="x/child/kill"), FOUND, ABSENT),
        (OUTCOMES[0].check("x", "go-2024/linux"),),
    ],
    ids=["every-status", "a-name-with-a-space", "a-trace", "several-adapters", "nothing-wrong"],
)
def test_sarif_is_what_its_published_schema_says(
    checks: tuple[Check, ...], sarif_schema: Draft7Validator
) -> None:
    """OASIS's own schema accepts every log, and each place is a URI, whatever its name was."""
    log = json.loads(sarif(Result("check", checks).document()))
    sarif_schema.validate(log)
    for result in log["runs"][0]["results"]:
        (place,) = result["locations"]
        uri = place["physicalLocation"]["artifactLocation"]["uri"]
        assert re.fullmatch(r"[A-Za-z0-9._~%/-]+", uri)  # formats are not part of validation


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("results", 0, "level"), "fatal"),
        (("results", 0, "message"), {"markdown": "no text"}),
        (("results", 0, "adapter"), "no such field"),
        (("results", 0, "ruleIndex"), -2),
        (("tool", "driver"), {"version": "nameless"}),
        (("invocations", 0, "executionSuccessful"), "yes"),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_the_published_schema_refuses_what_is_no_sarif(
    where: tuple[str | int, ...], value: object, sarif_schema: Draft7Validator
) -> None:
    """One wrong thing in a good log is an error, so the acceptance above says something."""
    log = json.loads(sarif(document()))
    *path, last = where
    part = log["runs"][0]
    for key in path:
        part = part[key]
    part[last] = value
    assert not sarif_schema.is_valid(log)


def test_sarif_fingerprints_follow_the_case_and_its_reason() -> None:
    """The same finding has the same fingerprint in every run, another has another."""
    once, again = (json.loads(sarif(document()))["runs"][0]["results"] for _ in range(2))
    prints = [result["partialFingerprints"]["lastref/v1"] for result in once]
    assert prints == [result["partialFingerprints"]["lastref/v1"] for result in again]
    assert len(set(prints)) == len(prints)


def test_markdown_counts_by_status_and_groups_alike_findings() -> None:
    """One row for the adapter; two cases with one reason share a line; nothing is left raw."""
    text = markdown(document())
    assert "| `x` | broken | 1 | 2 | 1 | 1 | 1 | 1 | 1 |" in text
    assert text.count("kill gave") == 1
    assert "<nil>" not in text.replace("\\<nil\\>", "")


def test_markdown_says_why_what_was_not_run_was_not() -> None:
    """A line for each reason, the commonest first, with the number of cases and of adapters."""
    lacking = [
        Outcome(f"{way}/kill", Status.NOT_SUPPORTED, "no find") for way in ("found", "other")
    ]
    lacking.append(Outcome("child/release", Status.NOT_SUPPORTED, "no release"))
    assert markdown(document(lacking)).endswith("- no find (2 cases)\n- no release (1 case)\n")
    checks = tuple(o.check(name, "x/y") for name in ("a", "b", "c", "d") for o in lacking[:2])
    told = markdown(Result("matrix", (*checks, lacking[2].check("a", "x/y"))).document())
    assert told.endswith("- no find (8 cases of 4 adapters)\n- no release (1 case of a)\n")
    assert "What is not supported" not in markdown(document(OUTCOMES[:1]))


@pytest.mark.parametrize(
    ("outcomes", "message", "colour"),
    [
        (OUTCOMES[:1], "1/1 cases", "brightgreen"),
        (OUTCOMES[:2], "1/2 cases", "red"),
        (OUTCOMES[5:], "incomplete", "yellow"),
    ],
)
def test_the_badge_says_the_verdict(outcomes: list[Outcome], message: str, colour: str) -> None:
    """Passed of all that ran; an incomplete run has no figure to show."""
    said = json.loads(badge(document(outcomes)))
    assert (said["schemaVersion"], said["message"], said["color"]) == (1, message, colour)
