"""The named cases: what their files say is worked out again, and a wrong file is noticed."""

from __future__ import annotations

import copy
import json
from importlib import resources
from typing import Any

import pytest

from lastref.conformance.errors import UserError
from lastref.conformance.named_cases import (
    NamedCase,
    from_document,
    judge,
    named_case,
    named_cases,
    shortest,
)
from lastref.conformance.trace import parse

RACES = (
    "go-13987",
    "go-16028",
    "go-67641",
    "go-67634",
    "go-67640",
    "go-65866",
    "go-67642",
    "kill-minus-one",
    "go-68496",
    "wait4-minus-one",
    "found-dead-wait",
    "go-71564",
    "word-overflow",
)
"""The rows of "The races" in the facts."""

DISAGREEMENTS = (
    "windows-wait-wait",
    "windows-wait-signal",
    "windows-wait-release",
    "pid-wait-missing",
    "linux-wait-wait",
    "linux-wait-release-signal",
    "linux-wait-release-wait",
    "linux-release-foreign",
    "windows-literal-panics",
)
"""Where the overhaul's message and its code disagree, and what it changed without saying so."""

ORDERS = ("order-wait-release", "order-wait-wait", "order-windows-wait-wait")
"""The histories without an order, which the commit itself calls inconsistent."""

CASES = list(named_cases())


def document(case_id: str) -> dict[str, Any]:
    """Return the file of a case, to be spoiled."""
    file = resources.files("lastref.conformance").joinpath("cases", f"{case_id}.json")
    return copy.deepcopy(json.loads(file.read_text(encoding="utf-8")))


def wrong(spoiled: dict[str, Any]) -> list[str]:
    """Return the kinds of judgement that do not hold of a spoiled file."""
    return [j.kind for j in judge(from_document(spoiled, "spoiled")) if not j.holds]


@pytest.mark.parametrize("row", RACES)
def test_every_race_of_the_facts_is_a_case(row: str) -> None:
    """The id is permanent: expectations and reports name it."""
    assert named_case(row).kind in ("race", "mistake")


@pytest.mark.parametrize("row", DISAGREEMENTS)
def test_every_disagreement_of_message_and_code_is_a_case(row: str) -> None:
    """A row each, with what was promised and what is returned, or the law."""
    assert named_case(row).kind == "change"


@pytest.mark.parametrize("case_id", ORDERS)
def test_every_history_without_an_order_is_stored(case_id: str) -> None:
    """All histories are made again: just these have no order, and all for one known reason."""
    case = named_case(case_id)
    assert case.kind == "order"
    assert case.unordered is not None
    (exactly,) = [j for j in judge(case) if j.kind == "exactly"]
    assert exactly.holds
    assert exactly.steps == case.unordered.of > len(case.unordered.histories) > 0


def test_a_release_between_reaping_and_saying_so_is_the_nb_of_the_commit() -> None:
    """Wait ok, Release nil, and a later Signal is told that it was released."""
    case = named_case("order-wait-release")
    last = case.run()[-1]
    assert (last.actor, last.name) == ("S1", "signal.load.released")
    assert case.unordered is not None
    assert all(
        h.startswith("R1 release nil, S1 signal REL, W1 wait ok") for h in case.unordered.histories
    )


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({"kind": "lost-race"}, ["found", "also", "also", "also", "exactly"]),
        ({"of": 37}, ["exactly"]),
        ({"histories": ["W1 wait ok"]}, ["replayed", "exactly"]),
    ],
    ids=["other-kind", "other-number", "other-histories"],
)
def test_a_wrong_statement_about_orders_is_noticed(
    change: dict[str, Any], kinds: list[str]
) -> None:
    """The kind, the number of histories and which they are: each is worked out again."""
    spoiled = document("order-wait-release")
    spoiled["unordered"] |= change
    assert wrong(spoiled) == kinds


def test_a_run_that_has_an_order_or_no_end_is_noticed() -> None:
    """A Release after the Wait is explained; a run that stops half way is no history."""
    spoiled = document("order-wait-wait")
    spoiled["schedule"].pop()
    assert wrong(spoiled) == ["found", "replayed"]


def test_a_design_without_a_sequential_specification_is_refused() -> None:
    """What calls return can be compared with nothing there."""
    spoiled = document("order-wait-wait") | {"design": "go-2023-reland"}
    with pytest.raises(UserError, match="has no sequential specification"):
        shortest(from_document(spoiled, "spoiled"))


@pytest.mark.parametrize("case_id", CASES)
def test_what_a_case_says_is_worked_out_again(case_id: str) -> None:
    """Found by the explorer, as short as stored, replayed in the model, absent where it says."""
    case = named_case(case_id)
    judgements = list(judge(case))
    assert [f"{j.kind} {j.place}: {j.reason}" for j in judgements if not j.holds] == []
    kinds = [j.kind for j in judgements]
    assert kinds.count("found") == kinds.count("replayed") == 1
    assert kinds.count("also") == len(case.also_in)
    assert kinds.count("absent") == len(case.absent_in)
    assert case.absent_in or case.open


@pytest.mark.parametrize("case_id", CASES)
def test_a_case_is_one_trace_that_the_model_accepts(case_id: str) -> None:
    """The stored run is a trace; its schedule string leads the model through the same steps."""
    trace = named_case(case_id).trace()
    again = parse(trace.schedule)
    assert again.document() == trace.document()
    assert len(again.steps) == len(named_case(case_id).schedule)


def test_a_run_that_is_too_long_is_noticed() -> None:
    """A detour keeps the run a run, and it is no longer a shortest one."""
    spoiled = document("go-67641")
    spoiled["schedule"].insert(0, "kernel exit")
    assert wrong(spoiled) == ["found"]


def test_a_run_that_breaks_nothing_is_noticed() -> None:
    """Without the recycling the last step breaks another law, not this one."""
    spoiled = document("go-67641")
    spoiled["schedule"][-2:] = ["kernel exit", "K1 kill.send.closed"]
    assert wrong(spoiled) == ["replayed"]


def test_a_schedule_that_is_no_run_is_refused_with_what_could_happen() -> None:
    """The step that cannot be taken is named, and those that can."""
    spoiled = document("go-67641")
    spoiled["schedule"][0] = "K1 kill.send.wrong"
    with pytest.raises(UserError, match=r"step 1 .* cannot be taken") as caught:
        wrong(spoiled)
    assert "K1 kill.check" in caught.value.reason


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"design": "go-2024"}, "found"),
        ({"law": "no-double-close"}, "found"),
        ({"absent_in": [{"design": "go-2023-find", "platform": "linux"}]}, "absent"),
        ({"also_in": [{"design": "go-2024", "platform": "linux"}]}, "also"),
    ],
    ids=["sound-design", "other-law", "not-mended", "not-there"],
)
def test_a_wrong_statement_is_noticed(change: dict[str, Any], kind: str) -> None:
    """A case that says something untrue of a design is judged, not believed."""
    spoiled = {**document("go-67641"), **change}
    case = from_document(spoiled, "spoiled")
    if kind == "found":
        assert shortest(case) is None
    else:
        assert kind in wrong(spoiled)


def test_a_claim_that_is_kept_is_no_case() -> None:
    """The claim is compared with what the call really returns."""
    spoiled = document("linux-wait-wait")
    spoiled["claim"]["says"] = "EPD"
    assert set(wrong(spoiled)) == {"found", "replayed", "absent"}


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (lambda d: d.pop("source"), "source"),
        (lambda d: d.update(schedule=["K1"]), "schedule"),
        (lambda d: d.update(claim={"thread": "W1", "call": 1, "says": "a", "returns": "b"}), "$"),
        (lambda d: d.update(absent_in=[]), "open"),
        (lambda d: d.update(id="Go 67641"), "id"),
    ],
    ids=["no-source", "no-command", "law-and-claim", "nothing-mended", "id"],
)
def test_a_file_that_does_not_fit_the_schema_is_refused(spoil: Any, field: str) -> None:
    """The error names the field; a case without a mended design must say why."""
    spoiled = document("go-67641")
    spoil(spoiled)
    with pytest.raises(UserError, match="is no lastref-case-1 document") as caught:
        from_document(spoiled, "spoiled.json")
    assert field in caught.value.reason


def test_a_file_is_named_for_its_case() -> None:
    """Every file in the folder is one case, and is called as its id."""
    folder = resources.files("lastref.conformance").joinpath("cases")
    files = {f.name.removesuffix(".json") for f in folder.iterdir()}
    assert files == set(CASES)


def test_an_unknown_case_is_refused_with_those_that_exist() -> None:
    """The error lists the ids."""
    with pytest.raises(UserError, match="there is no case 'go-1'") as caught:
        named_case("go-1")
    assert "go-67641" in caught.value.reason


def test_no_two_cases_are_the_same() -> None:
    """Two ids for one scenario and law would be one case told twice."""
    told = [(c.where, c.threads, c.broken) for c in named_cases().values()]
    assert all(told.count(t) == 1 for t in told)


def described(case: NamedCase) -> str:
    """Return the texts of a case together."""
    return f"{case.title} {case.why} {case.fix}"


@pytest.mark.parametrize("case_id", CASES)
def test_a_case_tells_its_story_in_sentences(case_id: str) -> None:
    """Why and fix are sentences of one line, and the source names an issue, commit or file."""
    case = named_case(case_id)
    assert case.why.endswith(".")
    assert case.fix.endswith(".")
    assert "\n" not in described(case)
    assert any(word in case.source for word in ("issue", "commit", "src/", "seen on"))
