"""Results: one verdict rule, nothing passes because nothing ran, and the published schema holds."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastref.conformance.errors import UserError, complaint_of
from lastref.conformance.results import Check, Result, Verdict, combine, validate
from lastref.impl.errors import PlatformUnsupported

VERDICTS = tuple(Verdict)


def check(verdict: Verdict = Verdict.PASS, name: str = "a", **fields: Any) -> Check:
    """Return a check that says enough to be accepted."""
    fields = {"count": 1, "reason": "because", **fields}
    return Check(name, "replay", verdict, **fields)


def result(*verdicts: Verdict) -> Result:
    """Return a result with one check per verdict."""
    return Result("verify", tuple(check(v, f"c{n}") for n, v in enumerate(verdicts)))


def test_a_result_of_no_checks_is_incomplete() -> None:
    """Nothing ran, so nothing passed."""
    assert combine([]) is Verdict.INCOMPLETE
    assert result().verdict is Verdict.INCOMPLETE


def test_a_result_of_skipped_checks_only_is_incomplete() -> None:
    """A skip is no evidence, and many are none either."""
    assert result(Verdict.SKIPPED, Verdict.SKIPPED).verdict is Verdict.INCOMPLETE


def test_a_skip_beside_a_pass_does_not_change_the_verdict() -> None:
    """What is not required on this machine does not stand in the way of a pass."""
    assert result(Verdict.PASS, Verdict.SKIPPED).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("stronger", "weaker"),
    [*itertools.combinations(["broken", "incomplete", "unable", "pass"], 2)],
)
def test_the_stronger_verdict_wins_in_either_order(stronger: str, weaker: str) -> None:
    """broken > incomplete > unable > pass, however they are ordered."""
    verdicts = [Verdict(stronger), Verdict(weaker)]
    assert combine(verdicts) is combine(reversed(verdicts)) is Verdict(stronger)


@settings(deadline=None)
@given(st.lists(st.sampled_from(VERDICTS)), st.lists(st.sampled_from(VERDICTS)))
def test_more_checks_never_take_a_broken_law_back(some: list[Verdict], more: list[Verdict]) -> None:
    """A result passes only if every part of it would, and is broken if any part is."""
    together = combine(some + more)
    assert (together is Verdict.BROKEN) == (Verdict.BROKEN in some + more)
    if together is Verdict.PASS:
        assert {combine(some), combine(more)} <= {Verdict.PASS, Verdict.INCOMPLETE}
        assert set(some + more) <= {Verdict.PASS, Verdict.SKIPPED}


def test_the_exit_codes_are_the_published_ones() -> None:
    """0 pass, 1 a law is broken, 2 incomplete, 3 the machine can't."""
    codes = {verdict: verdict.exit_code for verdict in VERDICTS if verdict != Verdict.SKIPPED}
    assert codes == {"pass": 0, "broken": 1, "incomplete": 2, "unable": 3}


def test_a_check_that_ran_nothing_cannot_pass() -> None:
    """A pass needs at least one case, and a misuse is refused where it is made."""
    with pytest.raises(ValueError, match="nothing ran"):
        check(Verdict.PASS, count=0)


@pytest.mark.parametrize("verdict", [v for v in VERDICTS if v is not Verdict.PASS])
def test_whatever_does_not_pass_says_why(verdict: Verdict) -> None:
    """A broken, incomplete, unable or skipped check without a reason is refused."""
    with pytest.raises(ValueError, match="without a reason"):
        check(verdict, reason="")


def test_two_checks_of_one_name_are_refused() -> None:
    """An id means one check within a result."""
    with pytest.raises(ValueError, match="called a"):
        Result("verify", (check(name="a"), check(name="a")))


def test_the_written_form_has_the_published_names() -> None:
    """The document has the four fields, and every check the eight."""
    document = result(Verdict.PASS).document()
    assert set(document) == {"schema", "command", "verdict", "checks"}
    assert set(document["checks"][0]) == {
        "id",
        "design",
        "platform",
        "kind",
        "verdict",
        "count",
        "seconds",
        "reason",
    }
    assert document["schema"] == "lastref-result-1"


@settings(deadline=None)
@given(st.lists(st.sampled_from(VERDICTS), max_size=5))
def test_every_result_conforms_to_the_published_schema(verdicts: list[Verdict]) -> None:
    """Whatever the checks came to, the text read back is the document and is valid."""
    made = result(*verdicts)
    read = json.loads(made.to_json())
    validate(read)
    assert read == made.document()
    assert read["verdict"] == made.verdict


def test_a_command_may_add_fields() -> None:
    """Extra fields appear beside the published ones, in the result and in a check."""
    document = Result("verify", (check(extra={"states": 7}),), {"seed": 1}).document()
    assert document["seed"] == 1
    assert document["checks"][0]["states"] == 7


def test_a_command_may_not_rename_a_published_field() -> None:
    """An extra field of a published name is refused, in the result and in a check."""
    with pytest.raises(ValueError, match="verdict"):
        Result("verify", (check(),), {"verdict": "pass"}).document()
    with pytest.raises(ValueError, match="count"):
        Result("verify", (check(extra={"count": 2}),)).document()


def _changed(path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    document: Any = result(Verdict.PASS, Verdict.SKIPPED).document()
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return dict(document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), "lastref-result-2"),
        (("command",), ""),
        (("verdict",), "skipped"),
        (("verdict",), "passed"),
        (("checks",), []),  # and yet the verdict is pass
        (("checks", 0, "verdict"), "broken"),  # likewise
        (("checks", 0, "verdict"), "skipped"),  # likewise: nothing ran
        (("checks", 0, "count"), 0),
        (("checks", 0, "count"), 1.5),
        (("checks", 0, "count"), -1),
        (("checks", 0, "seconds"), -0.1),
        (("checks", 0, "id"), ""),
        (("checks", 0, "design"), 7),
        (("checks", 1, "reason"), ""),
    ],
)
def test_the_schema_refuses_what_no_result_may_say(
    path: tuple[str | int, ...], value: object
) -> None:
    """The law is in the published schema too, for whoever reads or writes without our code."""
    with pytest.raises(jsonschema.ValidationError):
        validate(_changed(path, value))


@pytest.mark.parametrize("name", ["schema", "command", "verdict", "checks"])
def test_the_schema_asks_for_every_published_field(name: str) -> None:
    """None of the four may be missing."""
    document = result(Verdict.PASS).document()
    del document[name]
    with pytest.raises(jsonschema.ValidationError):
        validate(document)


def test_a_result_that_is_no_json_is_refused() -> None:
    """NaN has no JSON, so it is an error and not a file that nobody can read."""
    with pytest.raises(ValueError, match="JSON"):
        Result("verify", (check(seconds=math.nan),)).to_json()


def test_an_error_of_any_layer_with_three_parts_is_a_complaint() -> None:
    """Ours and the implementation's are told alike, on one line; another is none."""
    error = UserError("no\nfile", "gone", "look")
    assert str(error) == str(complaint_of(error)) == "no file: gone; look"
    assert str(complaint_of(PlatformUnsupported("f", "r", "m"))) == "f: r; m"
    assert complaint_of(ValueError("x")) is None
