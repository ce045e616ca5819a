"""The engines that judge a mutant, each alone, and what each says.

    proof       every obligation on single steps, bit by bit, over all words (z3)
    unbounded   the inductive invariant, for any number of threads (z3)
    explorer    every state of every mix of up to three threads, with all laws
    histories   the complete histories of calls and outcomes, compared with the design's
    outside     the same with what the kernel shows: system calls, processes, handle, victims
    hypothesis  random schedules of random mixes, with all laws
    replay      the mutant's own interleavings on the sound implementation and the real kernel

The first two look at states that cannot arise, too, so they may refuse a mutant that does nothing
wrong; the others run it, and what they kill is wrong.  ``outside`` is conformance alone: it sees
neither the word nor where a thread stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from lastref.conformance.witnesses import Witness, playable, witnesses
from lastref.model.explore import Exploration, Search, explore
from lastref.model.histories import Histories, TooLargeError, difference, show_history
from lastref.model.induct import prove_any
from lastref.model.invariants import INVARIANTS
from lastref.model.mutate import Mutant
from lastref.model.proof import PROVED, Proof, verdict_of
from lastref.model.reprove import Unbounded, bit_level, first_refuted, whole
from lastref.model.survey import Survey, Surveyed, closer
from lastref.model.system import Scenario, System
from lastref.model.table import Command, Table

PROVERS = ("proof", "unbounded")
RUNNERS = ("explorer", "histories", "outside", "hypothesis", "replay")
ENGINES = (*PROVERS, *RUNNERS)

FEW, MOST_DIFFERENT = 2, 3
"""Outcomes alone are compared for all mixes of so few threads, and the most different of more."""
GROWTH = 3
"""How many times more states than its design a mutant may have: it may count for ever."""
PATIENCE = 200
"""After how many steps alone a call that has not returned never will; a design takes eleven."""
ENDLESS = 3
"""After how many scenarios in which it grew too large a mutant is not compared any more."""
EXAMPLES, TURNS = 40, 40
"""How many schedules Hypothesis tries for a mutant, and how many turns a schedule has."""


@dataclass
class Workbench:
    """A design made ready for the judgement of its mutants: surveyed and proved once."""

    table: Table
    survey: Survey
    _histories: dict[tuple[int, bool], Histories] = field(default_factory=dict)
    _beyond: dict[int, Exploration] = field(default_factory=dict)

    _closer: dict[tuple[tuple[str, int], ...], Workbench] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Table) -> Workbench:
        """Return the workbench with the usual survey."""
        return cls(table, Survey(table))

    @cached_property
    def played(self) -> Survey:
        """The scenarios that are replayed, surveyed."""
        return playable(self.table)

    def closer(self, initial: Mapping[str, int]) -> Workbench:
        """Return a workbench with as many threads from that start as from the first."""
        key = tuple(sorted(initial.items()))
        if key not in self._closer:
            found = Survey(self.table, closer(self.table, initial))
            self._closer[key] = Workbench(self.table, found)
        return self._closer[key]

    @cached_property
    def unbounded(self) -> Unbounded | None:
        """The proof for any number of threads; ``None`` where no invariant is known or it fails."""
        invariant = INVARIANTS.get((self.table.id, self.table.platform))
        if (
            invariant is None
            or not whole(invariant)
            or verdict_of(prove_any(self.table, invariant)) != PROVED
        ):
            return None
        return Unbounded(self.table, invariant)

    def histories(self, number: int, *, effects: bool) -> Histories:
        """Return the design's histories in a scenario of the survey; with effects, calls too."""
        known = self._histories.get((number, effects))
        if known is None:
            system = self.survey.scenes[number].system
            known = Histories(system, effects=effects, calls=effects)
            self._histories[number, effects] = known
        return known

    @cached_property
    def broken(self) -> frozenset[str]:
        """The obligations that the design itself breaks: there an ordinary search ends a run."""
        found = frozenset(x for s in self.survey.scenes for x in s.exploration.counterexamples)
        return found & {law.id for law in self.table.laws if law.kind == "must"}

    def beyond(self, number: int) -> Exploration:
        """Return what the design does in a scenario if no obligation that it breaks ends a run."""
        known = self._beyond.get(number)
        if known is None:
            system = self.survey.scenes[number].system
            table = relieved(self.table, self.broken)
            known = explore(System(table, system.scenario))
            self._beyond[number] = known
        return known


def relieved(table: Table, laws: frozenset[str]) -> Table:
    """Return ``table`` with no command obliged by ``laws``: a run goes on where one is broken."""

    def freed(c: Command) -> Command:
        return replace(c, must=tuple(m for m in c.must if m.law not in laws))

    return replace(table, commands=tuple(freed(c) for c in table.commands))


class Specimen:
    """A mutant under judgement: compiled once, and compared with its design."""

    def __init__(self, bench: Workbench, mutant: Mutant) -> None:
        self.bench, self.mutant = bench, mutant
        self.system = System(mutant.table, Scenario(()))
        self.contrast = bench.survey.contrast(self.system, mutant.locations)

    @property
    def differs(self) -> bool:
        """Whether it differs anywhere in the survey; if not, all its graphs are its design's."""
        return bool(self.contrast.views)

    def scenes(self, numbers: set[int]) -> list[tuple[int, Surveyed]]:
        """Return the scenarios of these numbers, smaller ones first."""
        return [(n, self.bench.survey.scenes[n]) for n in sorted(numbers)]

    def witnesses(self) -> tuple[Witness, ...]:
        """Return schedules on which the real implementation must be seen to differ."""
        played = self.bench.played
        contrast = played.contrast(self.system, self.mutant.locations)
        return witnesses(played, contrast, self.system)

    def closer(self) -> Iterator[Specimen]:
        """Yield it before more threads, from every other start at which it differs."""
        starts = [s.system.scenario.initial for _, s in self.scenes(self.contrast.outcomes)]
        for initial in {tuple(sorted(i.items())): i for i in starts if i}.values():
            yield Specimen(self.bench.closer(initial), self.mutant)

    def proof(self) -> str | None:
        """Return the first bit-level obligation that is refuted."""
        return _refutation(first_refuted(bit_level(self.mutant.table, self.mutant.commands)))

    def unbounded(self) -> str | None:
        """Return the first obligation for any number of threads that is refuted."""
        unbounded = self.bench.unbounded
        assert unbounded is not None, "the engine is not available"
        return _refutation(first_refuted(unbounded.prove(self.mutant.table)))

    def explorer(self) -> str | None:
        """Return the first law that it breaks and its design does not, or a sight that is lost.

        A step that breaks an obligation ends a run.  Where the design does that itself, both are
        searched once more without that obligation: a lock may be left behind only thereafter.
        """
        scenes = self.scenes(self.contrast.behaviour)
        for _, scene in scenes:
            told = _worse(scene, self.system, scene.exploration)
            if told is not None:
                return told
        broken = self.bench.broken
        if broken:
            freed = System(relieved(self.mutant.table, broken), Scenario(()))
            for number, scene in scenes:
                if broken & scene.exploration.counterexamples.keys():
                    told = _worse(scene, freed, self.bench.beyond(number))
                    if told is not None:
                        return told
        return None

    def histories(self) -> str | None:
        """Return a history of calls and outcomes that only one of the two has."""
        return self._compared(effects=False)

    def outside(self) -> str | None:
        """Return a history, with what the kernel shows, that only one of the two has."""
        return self._compared(effects=True)

    def _compared(self, *, effects: bool) -> str | None:
        endless = 0
        scenes = self.scenes(self.contrast.outcomes)
        for number, scene in scenes if effects else _fewer(scenes):
            if endless == ENDLESS:
                break
            mine = self.system.under(scene.system.scenario)
            try:
                design = self.bench.histories(number, effects=effects)
                most = GROWTH * len(design.edges) + 500
                theirs = Histories(mine, effects=effects, calls=effects, most=most)
                found = difference(theirs, design)
            except TooLargeError:
                if _never_returns(mine):
                    return f"{_calls(scene)}: alone it never returns, after {PATIENCE} steps"
                endless += 1
                continue
            if found is not None:
                return f"{_calls(scene)}: {show_history(found)}"
        return None

    def hypothesis(self) -> str | None:
        """Return the law that a random schedule breaks and the design does not."""
        from lastref.conformance.randomly import broken_law

        scenes = [s for _, s in self.scenes(self.contrast.behaviour)]
        return broken_law(self.system, scenes, examples=EXAMPLES, turns=TURNS) if scenes else None


def _worse(scene: Surveyed, mutant: System, known: Exploration) -> str | None:
    """Return what ``mutant`` does wrong in a scenario that its design does not; that is known."""
    search = Search(mutant.under(scene.system.scenario))
    allowed = frozenset(known.counterexamples)
    found = search.run(limit=GROWTH * known.states + 1000, stop_beyond=allowed)
    for law in sorted(found.counterexamples.keys() - allowed):
        steps = len(found.counterexamples[law].steps)
        return f"{law} is broken after {steps} steps by {_calls(scene)}"
    lost = sorted(set(found.unseen) - set(known.unseen))
    return f"never shows {lost[0]} with {_calls(scene)}" if found.complete and lost else None


def _fewer(scenes: list[tuple[int, Surveyed]]) -> list[tuple[int, Surveyed]]:
    """Return the scenarios of few threads, and of the others those of the most different calls."""

    def calls(scene: Surveyed) -> tuple[str, ...]:
        return tuple(t.calls[0] for t in scene.system.scenario.threads)

    small = [s for s in scenes if len(calls(s[1])) <= FEW]
    large = [s for s in scenes if len(calls(s[1])) > FEW]
    large.sort(key=lambda s: (-len(set(calls(s[1]))), s[0]))
    return [*small, *large[:MOST_DIFFERENT]]


def _never_returns(system: System) -> bool:
    """Return whether the first thread, with nobody else running, does not come to its end."""
    state = system.initial
    for _ in range(PATIENCE):
        steps = system.thread_steps(state, 0)
        if not steps:
            # It is over, or waits for the process: then that ends.
            if system.is_done(state[1][0], 0):
                return False
            steps = system.kernel_steps(state)
        if not steps:
            return False
        state = steps[0].state
    return True


def _calls(scene: Surveyed) -> str:
    scenario = scene.system.scenario
    calls = ",".join(";".join(t.calls) for t in scenario.threads)
    start = "&".join(f"{k}={int(v)}" for k, v in scenario.initial.items())
    return f"{calls} from {start}" if start else calls


def _refutation(proof: Proof | None) -> str | None:
    if proof is None:
        return None
    values = ", ".join(f"{k}={v:#x}" for k, v in (proof.counterexample or {}).items() if v)
    about = f"{proof.law} of {proof.command}" if proof.command else proof.law
    return f"{about} is refuted" + (f" by {values}" if values else "")


Judge = Callable[[Specimen], str | None]
JUDGES: Mapping[str, Judge] = {
    "proof": Specimen.proof,
    "unbounded": Specimen.unbounded,
    "explorer": Specimen.explorer,
    "histories": Specimen.histories,
    "outside": Specimen.outside,
    "hypothesis": Specimen.hypothesis,
}
"""Every engine that needs no real process; ``replay`` works through all mutants at once."""
