"""The bit-level proofs: all hold for go-2024, and no command can be changed unnoticed."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from lastref.model.algebra import BOOL, FALSE, TRUE, Expr, const, ite, var
from lastref.model.designs.go_2023_pidfd import GO_2023_PIDFD
from lastref.model.designs.go_2024 import GO_2024
from lastref.model.proof import PROVED, REFUTED, UNKNOWN, Decider, Proof, verdict_of
from lastref.model.prove import Prover, prove_table
from lastref.model.smt import constant, translate
from lastref.model.table import END, PANICKED, Command, Table, command, shared
from lastref.model.word import DONE, MAX_REFS
from lastref.model.word_spec import SPECIFICATIONS

SPECIFICATION = SPECIFICATIONS["go-2024", "linux"]


def mutated(name: str, new: Command) -> Table:
    """Return go-2024 with the command `name` replaced."""

    def swap(commands: tuple[Command, ...]) -> tuple[Command, ...]:
        return tuple(new if c.name == name else c for c in commands)

    return replace(GO_2024, commands=swap(GO_2024.commands), kernel=swap(GO_2024.kernel))


def mutations(c: Command) -> Iterator[tuple[str, Command]]:
    """Yield every single change to a guard, an update, the outcome or the jump of a command."""
    if c.guard is not TRUE:
        yield "no guard", replace(c, guard=TRUE)
        yield "guard negated", replace(c, guard=~c.guard)
    yield "never", replace(c, guard=FALSE)
    yield "another outcome", replace(c, outcome="?")
    if c.to is not None:
        yield "another way", replace(c, to=PANICKED if c.to != PANICKED else END)
    for name, value in c.update:
        others = tuple(u for u in c.update if u[0] != name)
        off = ~value if value.width == BOOL else value + 1
        yield f"{name} kept", replace(c, update=others)
        yield f"{name} off", replace(c, update=(*others, (name, off)))
    written = c.writes
    for v in GO_2024.shared:
        if v.name not in written:
            yield f"{v.name} clobbered", replace(c, update=(*c.update, (v.name, _flipped(v))))


def _flipped(v: Expr) -> Expr:
    return ~v if v.width == BOOL else ite(v == 0, const(1, v.width), 0)


def test_every_obligation_of_go_2024_is_proved() -> None:
    """All laws, for all commands, over all words: the exact number of obligations of each."""
    proofs = prove_table(GO_2024)
    assert [p for p in proofs if not p.holds] == []
    laws = Counter(p.law for p in proofs)
    commands = len(GO_2024.commands) + len(GO_2024.kernel)
    locations = sum(1 for cs in GO_2024.leaving.values() if cs)
    panics = sum(1 for c in GO_2024.commands if c.to == PANICKED)
    assert (locations, panics) == (19, 4)
    assert laws["as-specified"] == laws["covered"] == commands - panics
    assert laws["panics-exactly"] == 2 * panics
    assert laws["disjoint"] == locations
    assert laws["exhaustive"] == locations - 1
    assert laws["possible"] == len(GO_2024.commands)
    assert laws["keeps-word-is-legal"] == laws["keeps-status-set-once"] == 9
    assert laws["overflow-exactly-at-limit"] == 3
    assert laws["agrees"] > 30
    assert all(p.cases > 3 for p in proofs if p.law == "agrees")
    assert len({(p.id, p.law) for p in proofs if p.law != "panics-exactly"}) + 2 * panics == len(
        proofs
    )


@pytest.mark.parametrize("name", sorted(GO_2024.by_name))
def test_no_command_can_be_changed_unnoticed(name: str) -> None:
    """Any single change of a command is refuted by some obligation of the specification."""
    c = GO_2024.by_name[name]
    beside = GO_2024.leaving[c.at] if c.at is not None else (c,)
    cases = SPECIFICATION.cases[c.at] if c.at is not None else SPECIFICATION.kernel[name]
    prover = Prover(GO_2024)
    assert verdict_of(prover.same_as("", beside, cases)) == PROVED
    assert c.at is None or verdict_of(prover.determined(c.at, beside)) == PROVED
    for what, changed in [*mutations(c), ("removed", None)]:
        mutant = Prover(mutated(name, changed)) if changed is not None else prover
        replaced = [changed if b is c else b for b in beside]
        commands = [b for b in replaced if b is not None]
        proofs = list(mutant.same_as("", commands, cases))
        if c.at is not None:
            proofs += mutant.determined(c.at, commands)
        assert verdict_of(proofs) == REFUTED, f"{name}: {what} survives"


def test_a_refutation_tells_concrete_values() -> None:
    """An acquire that ignores the done bit is shown a word with that bit set."""
    load = GO_2024.by_name["signal.load"]
    word = GO_2024.variables["word"]
    released_only = (word & (1 << 63)) == 0
    proofs = prove_table(mutated("signal.load", replace(load, guard=released_only)))
    refuted = {(p.law, p.command): p for p in proofs if p.verdict == REFUTED}
    found = refuted["as-specified", "signal.load"].counterexample
    assert found is not None
    assert found["word"] & DONE
    assert found["old'"] == found["word"]
    assert ("disjoint", "signal.load") in refuted


def test_the_limit_of_the_count_is_where_an_acquire_overflows() -> None:
    """Without its premise, "adds one reference" fails at 2^62 - 1 references and only there."""
    prover = Prover(GO_2024, SPECIFICATION)
    c = GO_2024.by_name["signal.cas"]
    case = replace(
        next(x for x in SPECIFICATION.cases["signal.cas"] if x.to == "signal.send"),
        limit=lambda _: True,
    )
    proof = prover.does_as_specified(c, [case])
    assert proof.counterexample is not None
    assert proof.counterexample["word"] == MAX_REFS
    assert proof.counterexample["word'"] == DONE


def test_a_table_without_a_specification_is_still_determined() -> None:
    """go-2023: guards exclude each other, leave nothing out, and z3 and Python agree."""
    proofs = prove_table(GO_2023_PIDFD)
    assert [p for p in proofs if not p.holds] == []
    assert {"disjoint", "exhaustive", "possible", "agrees"} == {p.law for p in proofs}


def test_overlapping_and_missing_guards_are_refuted() -> None:
    """A location whose commands overlap, leave a gap, or can never happen, is told by values."""
    x = shared("x", 8, "a byte")
    toy = Table(
        "toy", "any", "a toy", "", (x,), (), {"go": "a"},
        (
            command("low", "load", "a", END, x < 5),
            command("mid", "load", "a", END, (x >= 4) & (x < 9)),
            command("no", "load", "a", END, x < 0),
        ),
    )  # fmt: skip
    proofs = {(p.law, p.command): p for p in prove_table(toy)}
    assert proofs["disjoint", "a"].counterexample == {"x": 4}
    gap = proofs["exhaustive", "a"].counterexample
    assert gap is not None
    assert gap["x"] >= 9
    assert proofs["possible", "no"].verdict == REFUTED
    assert proofs["possible", "low"].verdict == PROVED


def test_a_backend_that_disagrees_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Had z3 compared signed, the agreement would be refuted, by the tree and by a value."""
    monkeypatch.setitem(
        __import__("lastref.model.smt", fromlist=["BACKEND"]).BACKEND, "ult", lambda a, b: a < b
    )
    x = shared("x", 8, "a byte")
    toy = Table(
        "toy", "any", "a toy", "", (x,), (), {"go": "a"}, (command("low", "load", "a", END, x < 5),)
    )
    term = translate(var("x", 8) < 5, {"x": constant("x", 8)})
    assert "bvult" not in term.sexpr()
    assert verdict_of(p for p in prove_table(toy) if p.law == "agrees") == REFUTED


def test_verdicts_combine() -> None:
    """One refuted is refuted; nothing proved at all is not a proof."""
    decider = Decider("d", "p")
    x = constant("x", 8)
    proved: Proof = decider.decide("l", "c", x == x, {"x": x})
    refuted = decider.decide("l", "c", x == 3, {"x": x}, given=[x != 3])
    assert (proved.verdict, refuted.verdict) == (PROVED, REFUTED)
    assert verdict_of([]) == UNKNOWN
    assert verdict_of([proved]) == PROVED
    assert verdict_of([proved, refuted]) == REFUTED
