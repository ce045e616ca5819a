"""One order of the steps, carried out on the real program, and judged by who was hit.

    step                         what happens
    W1                           W1 invokes its next operation, or its held call is let go
    exit(a)                      the child a ends by itself
    wait4(a)                     a call of the implementation's own thread is let go

After each step nothing moves until the next: whatever can be held is held, the rest sleeps. In that
gap the adversary gives away what has become free. At the end the victims tell; see `outcome`.

Before the next run on the same testee its children are ended and reaped, its objects dropped, and
what it still tries on the way belongs to the old run: only then does anything be held again.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lastref.conformance.gate import lines, returns, started
from lastref.conformance.gate.adversary import Adversary, dead, reaped
from lastref.conformance.gate.alike import Trail
from lastref.conformance.gate.children import SIGNAL, Child, Children
from lastref.conformance.gate.outcome import WRONG_REAP, WRONG_SIGNAL, Outcome, Step
from lastref.conformance.gate.scenario import MAKING, Operation, Scenario, Thread
from lastref.conformance.gate.testee import MAKING_PROCESSES, HeldCall, Lost, Testee, idle_argv
from lastref.conformance.gate.victims import Victims
from lastref.impl.guard import Guard

SPINS = 2
"""So many steps that change nothing make a loop that polls: more of them would show no more."""


@dataclass
class _Actor:
    """A thread of the scenario while it runs.

    ``told`` says that the implementation itself named the thread, so that a call of thread ``tid``
    is certainly this operation's, and not that of a thread which the implementation keeps for
    itself. ``found`` is whose the pid was that `find` was asked for, when it was asked.
    """

    thread: Thread
    next: int = 0
    number: int | None = None
    tid: int | None = None
    told: bool = False
    found: frozenset[str] = frozenset()

    @property
    def operation(self) -> Operation | None:
        """The operation that is under way, or else the next one."""
        index = self.next - 1 if self.number is not None else self.next
        operations = self.thread.operations
        return operations[index] if index < len(operations) else None


class Run:
    """One order on one testee; `Session` makes it."""

    def __init__(
        self,
        testee: Testee,
        scenario: Scenario,
        victims: Victims,
        guard: Guard,
        values: bool,
        aged: bool,
        exploring: bool = False,
    ) -> None:
        self._testee = testee
        self._scenario = scenario
        self._values = values
        self._aged = aged
        self._exploring = exploring
        self._adversary = Adversary(victims)
        self._children = Children(testee, guard, aged)
        self._actors = {thread.name: _Actor(thread) for thread in scenario.threads}
        self._owners: dict[int, str] = {}
        self._verdict: str | None = None
        self._reaper: Operation | None = None  # whose call, for certain, this step lets go
        self._at_group = 0  # the signal that this step lets go to the testee's own group
        self._over = False  # the testee is no more
        self._steps: list[Step] = []
        self._said: list[str] = []
        self._spins: Counter[str] = Counter()  # steps without a change, by who took them
        self._trail = Trail(scenario.threads)
        self._stood: tuple[object, ...] = ()  # how all stood after the last step
        self._enabled: tuple[str, ...] | None = None  # who can take the next one, once it is known
        self._known = 0  # how much of what was given away has been shown

    def set_up(self) -> None:
        """Carry the set-up out with nothing held."""
        for operation in self._scenario.setup:
            if operation.op == "exit":
                self._children.end(self._children.by_name[operation.process])
                continue
            found = self._owner_of(operation)
            answer = self._testee.call(
                operation.op, operation.process, **self._arguments(operation)
            )
            self._take_answer(operation, answer, found)
        self._testee.rest(self._idle)
        self._testee.conversation.history.clear()
        self._testee.holding = True
        self._stood = self._standing()
        self._state("")

    def enabled(self) -> tuple[str, ...]:
        """Return who can take the next step, in a fixed order.

        Who makes one call again and again, and nothing changes by it, has to wait for the others.
        """
        if self._enabled is None:
            self._enabled = self._who_can_step()
        return self._enabled

    def _who_can_step(self) -> tuple[str, ...]:
        if self._over:
            return ()
        names = [name for name, actor in self._actors.items() if self._can_step(name, actor)]
        names = [name for name in names if self._spins[name] < SPINS]
        names += [label for label, _ in self._others()]
        names += [f"exit({c.name})" for c in self._children if not c.gone]
        return tuple(names)

    def step(self, actor: str) -> None:
        """Let ``actor``, one of `enabled`, take its step."""
        enabled = self.enabled()
        self._enabled = None
        self._said = []
        self._reaper, self._at_group = None, 0
        if actor.startswith("exit("):
            self._testee.conversation.ended(actor[5:-1])
            self._children.end(self._children.by_name[actor[5:-1]])
        elif actor in self._actors:
            self._advance(self._actors[actor])
        else:
            self._let_go(dict(self._others())[actor])
        self._testee.watch.everybody = any(
            a.number is not None and a.operation is not None and a.operation.op == "start"
            for a in self._actors.values()
        )
        try:
            self._testee.rest(self._sure)
        except Lost as error:
            if error.signal != self._at_group:
                raise
            self._testee.let_all_go()  # nobody waits for it any more
            self._over = True
            self._verdict = WRONG_SIGNAL
            self._said.append("it has signalled its own process group")
        self._testee.watch.everybody = False
        if not self._over:
            self._attribute(actor)
            self._collect()
            self._recycle()
        shown = [*self._said, *self._adversary.taken[self._known :]]
        # Sorted: of two calls that one step set off, either may come first.
        shown += sorted(
            f"{self._owners[c.notification.id]} at {self._label(c)}" for c in self._testee.held
        )
        self._known = len(self._adversary.taken)
        standing = self._standing()
        if standing == self._stood:
            self._spins[actor] += 1
        else:
            self._spins.clear()
        self._stood = standing
        self._steps.append(Step(actor, enabled, tuple(shown), self._state(actor)))

    def judge(self) -> None:
        """End the victims: whoever was signalled or reaped was hit by the testee."""
        for fate in self._adversary.retire():
            if fate.signal is not None:
                self._verdict = self._verdict or WRONG_SIGNAL
            elif not fate.untouched:
                self._verdict = self._verdict or WRONG_REAP

    def outcome(self, skipped: Sequence[str], open_choices: Sequence[str]) -> Outcome:
        """Clear up, and return what came of the run."""
        events = tuple(self._testee.conversation.history)
        reusable = self._clear_up()
        return Outcome(
            tuple(self._steps),
            self._verdict,
            tuple(skipped),
            reusable,
            tuple(self._adversary.taken),
            events,
            tuple(open_choices),
        )

    def close(self) -> None:
        """Let go of everything, whatever state the run is in."""
        with contextlib.suppress(Exception):
            self._adversary.retire()
        self._children.close()

    # who steps

    def _can_step(self, name: str, actor: _Actor) -> bool:
        if any(self._owners.get(call.notification.id) == name for call in self._testee.held):
            return True
        if actor.number is not None or (operation := actor.operation) is None:
            return False
        if operation.op in MAKING:
            return operation.op == "start" or (operation.of or "a") in self._children.by_name
        return operation.process in self._children.objects

    def _others(self) -> list[tuple[str, HeldCall]]:
        """The held calls of threads that are none of the scenario's, by their labels."""
        seen: Counter[str] = Counter()
        found = []
        for call in self._testee.held:
            if self._owners.get(call.notification.id) in self._actors:
                continue
            label = self._label(call)
            seen[label] += 1
            found.append((label if seen[label] == 1 else f"{label}#{seen[label]}", call))
        return found

    def _label(self, call: HeldCall) -> str:
        if call.line is not None:
            return lines.label(call.line)
        if call.call in MAKING_PROCESSES:
            return "fork()"
        pid = call.pid
        if pid is None:
            return f"{call.call}({'handle' if call.handle is not None else 'any'})"
        nobody = "other" if pid > 0 else str(pid)  # a child that nobody has been told of yet
        name = next((c.name for c in self._children if c.pid == pid), nobody)
        return f"{call.call}({name})"

    def _idle(self) -> bool:
        """Return whether nothing was asked for that has not been answered."""
        return not self._testee.conversation.under_way

    def _sure(self) -> bool:
        """Return whether it is known of every operation under way where it is."""
        conversation = self._testee.conversation
        held = {call.tid for call in self._testee.held}
        for actor in self._actors.values():
            if actor.number is None or conversation.answer(actor.number) is not None:
                continue
            invoke = conversation.invoked(actor.number)
            tid = actor.tid or (invoke or {}).get("tid")
            if tid is None or not (tid in held or self._testee.sleeps_in_a_gated_call(tid)):
                return False
        return True

    def _standing(self) -> tuple[object, ...]:
        """Return all that a step can change, as far as it can be seen."""
        return (
            frozenset(call.asked for call in self._testee.held),
            tuple((actor.next, actor.number) for actor in self._actors.values()),
            tuple(child.gone for child in self._children),
            frozenset(self._children.reaped),
            len(self._adversary.taken),
        )

    def _state(self, stepped: str) -> str:
        """Return a text that is equal for gaps that are alike, see `alike`; "" if none asks."""
        if not self._exploring:
            return ""
        held = defaultdict(list)
        for call in self._testee.held:
            held[self._owners[call.notification.id]].append(self._label(call))
        places, waiting = {}, set()
        for name, actor in self._actors.items():
            stands = sorted(held.pop(name, ()))
            if not stands and actor.tid and self._testee.sleeps_in_a_gated_call(actor.tid):
                waiting.add(name)
            under_way = actor.number is not None and sorted(actor.found)
            places[name] = str((stands, actor.next, under_way, name in waiting))
        worlds = {
            name: self._world(actor.operation or actor.thread.operations[-1])
            for name, actor in self._actors.items()
        }
        return self._trail.gap(
            stepped,
            places,
            worlds,
            waiting,
            self._testee.conversation.history,
            self._spins,
            (
                sorted(map(sorted, held.values())),
                self._world(None),
                sorted((name, sorted(named)) for name, named in self._children.objects.items()),
                self._verdict,
            ),
        )

    def _world(self, operation: Operation | None) -> str:
        """Return what an operation can meet in the kernel; everything if it is not known which."""
        children, gone = list(self._children), self._children.reaped
        if operation is not None and operation.op == "start":
            return str([c.name for c in children if c.gone and c.name in gone])
        if operation is not None:
            names = {operation.of or "a"} if operation.op in MAKING else set()
            names |= self._children.named(operation.process)
            pids = {c.pid for c in children if c.name in names}
            children = [c for c in children if c.pid in pids]
        return str(
            (
                [
                    (
                        *(c.name, c.gone, c.name in gone, self._adversary.on(c.pid)),
                        sorted(map(int, self._children.may_end_by[c.name])),
                    )
                    for c in children
                ],
                self._adversary.on_numbers(),
            )
        )

    # one step

    def _advance(self, actor: _Actor) -> None:
        name = actor.thread.name
        held = next(
            (c for c in self._testee.held if self._owners.get(c.notification.id) == name), None
        )
        if held is not None:
            if actor.told and actor.operation and actor.operation.op in ("wait", "reap"):
                self._reaper = actor.operation
            self._let_go(held)
            return
        operation = actor.operation
        assert operation is not None
        arguments = self._arguments(operation)
        self._children.allow(operation)
        actor.found = self._owner_of(operation)
        actor.number = self._testee.invoke(operation.op, operation.process, **arguments)
        self._trail.began(actor.number, actor.thread.name)
        actor.next += 1

    def _let_go(self, call: HeldCall) -> None:
        if call.call in MAKING_PROCESSES:
            free = next((c for c in self._children if c.gone and reaped(c.pidfd)), None)
            if free is not None:
                self._age(free)
                self._adversary.give_to_next_child(free.pid)
        if call.call == "kill" and call.pid in (0, -self._testee.pid):
            self._at_group = call.notification.signed(1)
        if self._values and call.call in ("kill", "tgkill", "pidfd_send_signal", "pidfd_open"):
            self._testee.forget(call)
            stopped = returns.let_go_and_stop(self._testee.listener, call.notification)
            if stopped is not None:
                value = stopped.value
                shown = os.strerror(-value) if value < 0 else str(value)
                self._said.append(f"{self._label(call)} returned {shown}")
                stopped.resume()
        else:
            self._testee.let_go(call)
        self._owners.pop(call.notification.id, None)

    def _owner_of(self, operation: Operation) -> frozenset[str]:
        """Return whose the pid is now that a `find` or `literal` is asked for."""
        if operation.op not in ("find", "literal"):
            return frozenset()
        pid = self._children.by_name[operation.of or "a"].pid
        owners = {c.name for c in self._children if c.pid == pid and not reaped(c.pidfd)}
        # A child that is being made may have the pid already, and nobody can tell yet.
        for actor in self._actors.values():
            if actor.number is not None and actor.operation and actor.operation.op == "start":
                owners.add(actor.operation.process)
        return frozenset(owners)

    def _arguments(self, operation: Operation) -> dict[str, Any]:
        if operation.op == "start":
            return {"argv": idle_argv()}
        if operation.op in ("find", "literal"):
            return {"pid": self._children.by_name[operation.of or "a"].pid}
        return {"signal": int(SIGNAL)} if operation.op == "signal" else {}

    def _attribute(self, actor: str) -> None:
        """Say whose each newly held call is: by its thread, else by who was just let on."""
        live = {call.notification.id for call in self._testee.held}
        self._owners = {key: name for key, name in self._owners.items() if key in live}
        for held_actor in self._actors.values():
            if held_actor.number is not None and held_actor.tid is None:
                invoke = self._testee.conversation.invoked(held_actor.number)
                held_actor.tid = invoke.get("tid") if invoke is not None else None
                held_actor.told = held_actor.tid is not None
        for call in self._testee.held:
            if call.notification.id not in self._owners:
                self._owners[call.notification.id] = self._owner(call, actor)

    def _owner(self, call: HeldCall, actor: str) -> str:
        waiting = [a for a in self._actors.values() if a.number is not None]
        for other in waiting:
            if other.tid == call.tid:
                return other.thread.name
        # Where no thread was named, the first call in an operation's own step is taken for its own.
        first = next((a for a in waiting if a.tid is None and a.thread.name == actor), None)
        if first is None:
            return ""
        first.tid = call.tid
        return first.thread.name

    def _collect(self) -> None:
        """Take the answers that came with this step, and see who ended."""
        for name, other in self._actors.items():
            if other.number is None:
                continue
            answer = self._testee.conversation.answer(other.number)
            if answer is None:
                continue
            operation = other.operation
            assert operation is not None
            self._said.append(f"{name} returned {answer['outcome']}")
            self._take_answer(operation, answer, other.found)
            other.number = other.tid = None
            other.told = False
        for child in self._children:
            if not child.gone and dead(child.pidfd):
                self._take_death(child)
            if child.gone and reaped(child.pidfd):
                self._take_reaping(child)

    def _take_death(self, child: Child) -> None:
        self._children.gone(child)
        if not self._children.may_end_by[child.name]:
            self._verdict = self._verdict or WRONG_SIGNAL

    def _take_reaping(self, child: Child) -> None:
        if child.name in self._children.reaped:
            return
        self._children.reaped.add(child.name)
        reaper = self._reaper
        if reaper is not None and child.name not in self._children.named(reaper.process):
            self._verdict = self._verdict or WRONG_REAP

    def _take_answer(
        self, operation: Operation, answer: dict[str, Any], found: frozenset[str]
    ) -> None:
        good = answer["outcome"] in ("nil", "ok")
        if operation.op == "start" and good:
            old = self._children.adopt(operation.process, answer.get("pid"))
            if old is not None:
                self._adversary.taken.append(f"child({old})")
        elif operation.op in ("find", "literal") and good:
            # The pid may have come to another while the operation looked: then either is right.
            self._children.objects[operation.process] = found | self._owner_of(operation)
        elif operation.op == "wait" and good:
            named = self._children.named(operation.process)
            ends = {number for name in named for number in self._children.may_end_by[name]}
            told = answer.get("exit_signal")
            if not named or (told is not None and told not in ends):
                self._verdict = self._verdict or WRONG_REAP

    def _recycle(self) -> None:
        own = self._scenario.makes_children_later and self._testee.program.processes
        for child in self._children:
            if child.name in self._children.reaped and not own:
                self._age(child)
                self._adversary.take_pid(child.pid, child.name)
        self._adversary.take_numbers(self._testee, self._testee.held)

    def _age(self, child: Child) -> None:
        """Return when whoever starts now is told from ``child`` by the time of its start."""
        if self._aged:
            started.pass_tick(child.started)

    # afterwards

    def _clear_up(self) -> bool:
        """Leave the testee as it was before; return whether that succeeded."""
        testee = self._testee
        testee.let_all_go()
        try:
            self._children.end_all()
            if testee.conversation.under_way:
                testee.rest(self._idle)
            if testee.conversation.under_way:
                return False
            self._take_what_came_late()
            self._children.end_all()
            for name, named in self._children.objects.items():
                self._drop(name, named)
            testee.conversation.forget()
            if self._adversary.numbers and testee.program.handle is not None:
                return False  # a victim's number stays open, so the next handle has another
            return all(reaped(child.pidfd) for child in self._children)
        except Lost:
            return False
        finally:
            self._children.forget()
            self.close()

    def _take_what_came_late(self) -> None:
        """Take the objects whose making was held to the end: they have to be dropped as well.

        Else a child would live on in the testee, and show in a later run.
        """
        for actor in self._actors.values():
            operation = actor.operation
            if actor.number is None or operation is None or operation.op not in MAKING:
                continue
            answer = self._testee.conversation.answer(actor.number)
            if answer is not None:
                self._take_answer(operation, answer, actor.found)

    def _drop(self, name: str, named: frozenset[str]) -> None:
        ready = self._testee.conversation.ready
        assert ready is not None
        for op in ("wait", "reap"):
            left = any(not reaped(c.pidfd) for c in self._children if c.name in named)
            if left and op in ready.capabilities:
                self._testee.call(op, name)
        if "release" in ready.capabilities:
            self._testee.call("release", name)
        self._testee.call("drop", name)
