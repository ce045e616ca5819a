"""The model's interleavings, replayed step by step on a class of the user's.

The class is written for the seam of ``lastref.impl``: ``Handle.adopt(child, parts)`` returns an
object with ``wait``, ``signal``, ``kill`` and ``release`` that takes its word from
``parts.word64`` and its system calls from ``parts.system``.  Then a scheduler stands before each of
them, and the design's table says what must be seen after every step.

Every number that comes free is given away at once, first to a stranger's process, then to a child
of ours, in a PID namespace.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Protocol

import pytest
from rich.console import Console

from lastref.conformance.cells import read_word
from lastref.conformance.cli.drawing import WIDTH, print_diagram
from lastref.conformance.diagram import draw
from lastref.conformance.errors import UserError
from lastref.conformance.namespace import NamespaceStage, in_worker
from lastref.conformance.plugin.found import found, refused
from lastref.conformance.replay import replay
from lastref.conformance.replays import Campaign, plan, recyclings, scenario_of
from lastref.conformance.sandbox import run_in_namespace, unavailable
from lastref.conformance.sandbox.inside import Target
from lastref.conformance.subjects import subject
from lastref.conformance.trace import record, walk
from lastref.model import designs
from lastref.model.system import System

BY_HANDLE = {"go-2024/linux": True, "go-2024/linux-pid": False}
"""The designs that a class can be held to, and whether it owns a pidfd there."""


class ReplayHandle(Protocol):
    """The fixture ``lastref_replay``."""

    def __call__(self, handle: type, *calls: str, design: str = "go-2024/linux") -> Replayed:
        """Replay every interleaving of ``calls``, a thread each (``"wait;release"`` makes two).

        Fails at the first step that is not the design's, or if a process is hit that no call named.
        """


@dataclass(frozen=True)
class Replayed:
    """How many interleavings were replayed, of how many steps together, and the first difference.

    ``actors`` are the steps of the one that differs, up to where it does, and ``recycled`` what its
    adversary gives away.
    """

    interleavings: int
    steps: int
    said: str = ""
    actors: tuple[str, ...] = ()
    recycled: frozenset[str] = frozenset()


def replay_handle(handle: type, *calls: str, design: str = "go-2024/linux") -> Replayed:
    """Replay the interleavings; see :class:`ReplayHandle`.  UserError if it cannot be done."""
    reason = unavailable()
    if reason is not None:
        pytest.skip(f"no replay here: {reason}")
    try:
        if design not in BY_HANDLE:
            raise UserError(
                f"a class cannot be held to '{design}'",
                "what such an object keeps is not known",
                f"name one of {', '.join(BY_HANDLE)}",
            )
        if not calls:
            raise UserError("nothing to replay", "no call is named", "name one, such as 'wait'")
        done = run_in_namespace(_as_process_1, Target.of(found(handle)), calls, design)
    except UserError as error:
        refused(error)
    if done.said:
        picture = _drawn(design, calls, done)
        pytest.fail(f"{handle.__qualname__}: {done.said}\n\n{picture}", pytrace=False)
    return done


def _drawn(design: str, calls: tuple[str, ...], done: Replayed) -> str:
    name, _, platform = design.partition("/")
    table = designs.get(name, platform)
    system = System(table, scenario_of(table, calls, done.recycled))
    steps = walk(system, done.actors)
    text = io.StringIO()
    print_diagram(draw(system, steps, breaks_at=len(steps)), Console(file=text, width=WIDTH))
    return f"as {design} has it, up to the step that differs:\n\n{text.getvalue().rstrip()}"


def _as_process_1(target: Target, calls: tuple[str, ...], design: str) -> Replayed:
    return in_worker(_as_worker, target, calls, design)


def _as_worker(target: Target, calls: tuple[str, ...], design: str) -> Replayed:
    name, _, platform = design.partition("/")
    table = designs.get(name, platform)
    adopt = target.resolve().adopt  # type: ignore[attr-defined]
    factory = subject(adopt, handle=BY_HANDLE[design], word=read_word)
    count = steps = 0
    with NamespaceStage() as stage:
        for recycled in recyclings(table):
            work = plan(Campaign(name, platform, calls, recycled))
            system = System(table, scenario_of(table, calls, recycled))
            for actors in work.runs:
                trace = record(system, walk(system, actors))
                done = replay(trace, factory, stage)
                count += 1
                steps += done.steps
                if done.divergence is not None:
                    told = done.divergence
                    said = (
                        f"step {told.step} ({told.actor}): {told.what} is {told.seen}, "
                        f"the model has {told.expected}"
                    )
                    return Replayed(count, steps, said, actors[: told.step], recycled)
                if done.hit:
                    said = "a process was hit that no call named"
                    return Replayed(count, steps, said, actors, recycled)
    return Replayed(count, steps)
