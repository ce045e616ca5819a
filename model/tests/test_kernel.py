"""The kernel's model keeps the promises of the real one: recycling, reaping, pinning."""

from __future__ import annotations

import pytest

from lastref.model.designs import all_tables, get
from lastref.model.kernel import CLOSED, FOREIGN, IGNORED, OURS, REUSED, UNOPENED
from lastref.model.kernel_pid import FREE, MINE, SIBLING, STRANGER
from lastref.model.outcomes import run
from lastref.model.system import KERNEL, State, System, scenario
from lastref.model.table import Table

BY_PID = [t for t in all_tables() if {"pid_owner", "reaped"} <= {v.name for v in t.shared}]
WITH_HANDLE = [t for t in all_tables() if "handle" in {v.name for v in t.shared}]
WINDOWS = [t for t in all_tables() if t.platform == "windows"]


def name_of(table: Table) -> str:
    """Return the test's id for a table."""
    return f"{table.id}-{table.platform}"


def states(table: Table, *calls: str, **initial: int) -> list[tuple[System, State]]:
    """Return every state of a scenario."""
    system = System(table, scenario(*calls, initial=initial))
    seen, todo = {system.initial}, [system.initial]
    while todo:
        for step in system.steps(todo.pop()):
            if step.state not in seen:
                seen.add(step.state)
                todo.append(step.state)
    return [(system, s) for s in seen]


@pytest.mark.parametrize("table", [t for t in BY_PID if t.platform != "plan9"], ids=name_of)
def test_a_pid_is_free_only_after_reaping(table: Table) -> None:
    """On unix the number is ours exactly until our process is reaped, then it may be anybody's."""
    owners = set()
    for system, state in states(table, "wait", "kill"):
        values = system.values_of(state)
        assert (values["pid_owner"] == MINE) == (not values["reaped"])
        assert not values["reaped"] or values["exited"]
        owners.add(values["pid_owner"])
    assert owners == {MINE, FREE, STRANGER, SIBLING}


@pytest.mark.parametrize("table", [t for t in BY_PID if t.platform == "plan9"], ids=name_of)
def test_on_plan_9_a_pid_is_free_as_soon_as_the_process_ends(table: Table) -> None:
    """There are no zombies: the number is ours exactly while the process runs."""
    for system, state in states(table, "wait", "kill"):
        values = system.values_of(state)
        assert (values["pid_owner"] == MINE) == (not values["exited"])


@pytest.mark.parametrize("table", WITH_HANDLE, ids=name_of)
def test_a_handle_number_is_handed_out_again_only_after_a_close(table: Table) -> None:
    """The number goes from ours to closed to reused, and never back."""
    order = [OURS, CLOSED, REUSED]
    seen = set()
    closer = next(m for m in ("release", "dispose", "close") if m in table.methods)
    for system, state in states(table, closer):
        before = system.values_of(state)["handle"]
        for step in system.steps(state):
            after = system.values_of(step.state)["handle"]
            assert order.index(after) - order.index(before) in (0, 1)
            if (before, after) == (CLOSED, REUSED):
                assert (step.actor, step.name) == (KERNEL, "reopen")
                seen.add("reopen")
    assert seen == {"reopen"}


@pytest.mark.parametrize("table", WINDOWS, ids=name_of)
def test_on_windows_an_open_handle_pins_the_pid(table: Table) -> None:
    """The number is not handed out while the process runs or our handle is open."""
    recycled = False
    for system, state in states(table, "wait", "release"):
        values = system.values_of(state)
        if values["handle"] == OURS or not values["exited"]:
            assert values["pid_owner"] == MINE
        recycled |= values["pid_owner"] == STRANGER
    assert recycled


@pytest.mark.parametrize(
    ("outcome", "initial"),
    [
        ("ok", {}),
        ("waitid:ECHILD", {"kin": IGNORED}),
        ("waitid:ECHILD", {"kin": FOREIGN}),
        ("waitid:ECHILD", {"exited": 1, "reaped": 1}),
        ("waitid:EBADF", {"handle": CLOSED}),
    ],
)
def test_waitid_by_pidfd_answers_as_the_kernel_does(outcome: str, initial: dict[str, int]) -> None:
    """A child is reaped; one ignored, foreign or reaped is no child; a closed fd is no fd."""
    assert run(get("go-2024"), initial, ("wait",)).last == outcome


@pytest.mark.parametrize(
    ("outcome", "initial"),
    [
        ("nil", {}),
        ("nil", {"exited": 1}),
        ("EPD", {"exited": 1, "reaped": 1}),
        ("EBADF", {"handle": CLOSED}),
        ("nil", {"handle": REUSED}),
    ],
)
def test_pidfd_send_signal_answers_as_the_kernel_does(
    outcome: str, initial: dict[str, int]
) -> None:
    """It reaches a process that runs and a zombie; a reaped one is ESRCH, a closed fd EBADF."""
    assert run(get("go-2024"), initial, ("signal",)).last == outcome


@pytest.mark.parametrize("call", ["signal", "wait", "release"])
def test_a_number_that_was_never_opened_is_recognised(call: str) -> None:
    """A value made by hand has 0 for its handle: EBADF, and Release closes descriptor 0."""
    made = run(get("go-2023-pidfd"), {"handle": UNOPENED}, (call,))
    assert made.broken == ("no-unopened-handle",)
    assert made.last == {"signal": "EBADF", "wait": "waitid:EBADF", "release": "nil"}[call]


def test_a_signal_to_minus_one_reaches_everybody() -> None:
    """kill(-1) ends our process, our other child and a stranger, and breaks the law."""
    table = get("go-2024", "linux-pid")
    made = run(table, {"pid": 1, "bystander": 0}, ("kill",))
    after = dict(zip((v.name for v in table.shared), made.steps[-1].state[0], strict=True))
    assert made.broken == ("no-wrong-process",)
    assert (after["exited"], after["bystander"], after["stranger"]) == (1, 1, 1)


@pytest.mark.parametrize(("eldest", "reaped"), [(0, 1), (1, 0)], ids=["ours", "sibling"])
def test_wait4_of_minus_one_takes_the_eldest_zombie(eldest: int, reaped: int) -> None:
    """With two zombies wait4(-1) reaps the elder, whoever that is."""
    table = get("go-2016", "unix")
    calls = scenario(
        "wait", "release", initial={"exited": 1, "bystander": 3, "eldest": eldest}, adversary=()
    )
    system = System(table, calls)
    state = system.initial
    for actor in (0, 1, 0, 0):
        (step,) = system.thread_steps(state, actor)
        state = step.state
    assert step.name == ("wait.wait4.any-ours" if reaped else "wait.wait4.any-sibling")
    assert system.values_of(state)["reaped"] == reaped


def test_a_wait_that_cannot_end_is_no_answer() -> None:
    """wait4(-1) with a child that runs waits for it; with none it is ECHILD."""
    calls = ("wait", "release", "wait")
    table = get("go-2024", "linux-pid")
    assert run(table, {"waitid_missing": 1}, calls).last == "wait:ECHILD"
    assert run(table, {"waitid_missing": 1, "bystander": 0}, calls).last == "hang"
