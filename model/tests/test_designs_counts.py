"""Every design, searched completely: exact numbers of states, and exactly which laws break.

A row is a scenario of a table (a thread for each word, its calls joined by ``;``): the states, the
transitions, and for each broken law the length of its shortest counterexample.  The numbers are
what the plain search finds; a change of a table that moves one of them has changed the design.
"""

from __future__ import annotations

import pytest

from lastref.model.designs import all_tables, get
from lastref.model.designs.swap_windows import NO_HANG as HANG
from lastref.model.explore import Exploration, explore
from lastref.model.kernel import NO_USE_AFTER_CLOSE as CLOSED
from lastref.model.kernel import NO_WRONG_PROCESS as WRONG
from lastref.model.properties import NO_PANIC as PANIC
from lastref.model.system import System, scenario
from lastref.model.table import Table

ROWS: dict[str, dict[str, tuple[int, int, dict[str, int]]]] = {
    "pid-naive/linux-pid": {
        "kill wait": (114, 283, {WRONG: 9}),
        "kill release": (42, 95, {WRONG: 5}),
        "wait wait": (126, 302, {WRONG: 9}),
        "wait release": (56, 115, {WRONG: 5}),
        "wait;release;wait": (36, 64, {}),
        "wait kill release": (306, 863, {WRONG: 5}),
        "signal signal wait release": (1752, 6316, {WRONG: 5}),
    },
    "go-2016/linux-pid": {
        "kill wait": (186, 447, {}),
        "kill release": (54, 123, {WRONG: 6}),
        "wait wait": (354, 864, {WRONG: 19}),
        "wait release": (78, 159, {}),
        "wait;release;wait": (46, 79, {}),
        "wait kill release": (464, 1298, {WRONG: 6}),
        "signal signal wait release": (3206, 11689, {WRONG: 6}),
    },
    "go-2016/unix": {
        "kill wait": (156, 392, {WRONG: 10}),
        "kill release": (54, 123, {WRONG: 6}),
        "wait wait": (126, 302, {WRONG: 9}),
        "wait release": (56, 115, {WRONG: 5}),
        "wait;release;wait": (36, 64, {}),
        "wait kill release": (402, 1150, {WRONG: 5}),
        "signal signal wait release": (3224, 12000, {WRONG: 5}),
    },
    "go-2016/windows": {
        "kill wait": (86, 169, {CLOSED: 11, WRONG: 12}),
        "kill release": (67, 143, {CLOSED: 5, WRONG: 6}),
        "wait wait": (146, 299, {HANG: 9, CLOSED: 10, WRONG: 11}),
        "wait release": (81, 169, {HANG: 3, CLOSED: 4, WRONG: 5}),
        "wait;release;wait": (27, 49, {HANG: 11}),
        "wait kill release": (473, 1375, {HANG: 3, CLOSED: 4, WRONG: 5}),
        "signal signal wait release": (729, 2493, {HANG: 3, CLOSED: 4, WRONG: 5}),
    },
    "go-2016/plan9": {
        "kill wait": (138, 359, {WRONG: 5}),
        "kill release": (70, 164, {WRONG: 5}),
        "wait wait": (162, 413, {WRONG: 6}),
        "wait release": (88, 194, {WRONG: 6}),
        "wait;release;wait": (48, 90, {WRONG: 6}),
        "wait kill release": (398, 1165, {WRONG: 5}),
        "signal signal wait release": (1876, 6876, {WRONG: 5}),
    },
    "go-2023-pidfd/linux": {
        "kill wait": (216, 561, {CLOSED: 10, WRONG: 11}),
        "kill release": (186, 527, {CLOSED: 5, WRONG: 6}),
        "wait wait": (366, 926, {CLOSED: 10, WRONG: 11}),
        "wait release": (344, 931, {CLOSED: 5, WRONG: 6}),
        "wait;release;wait": (78, 166, {}),
        "wait kill release": (2774, 9802, {CLOSED: 5, WRONG: 6}),
        "signal signal wait release": (24956, 109887, {CLOSED: 5, WRONG: 6}),
    },
    "go-2023-pidfd/linux-pid": {
        "kill wait": (496, 1480, {}),
        "kill release": (180, 536, {WRONG: 8}),
        "wait wait": (852, 2534, {WRONG: 21}),
        "wait release": (248, 684, {}),
        "wait;release;wait": (112, 254, {}),
        "wait kill release": (1704, 6060, {WRONG: 8}),
        "signal signal wait release": (13448, 59528, {WRONG: 8}),
    },
    "go-2023-pidfd/windows": {
        "kill wait": (86, 169, {CLOSED: 11, WRONG: 12}),
        "kill release": (67, 143, {CLOSED: 5, WRONG: 6}),
        "wait wait": (146, 299, {HANG: 9, CLOSED: 10, WRONG: 11}),
        "wait release": (81, 169, {HANG: 3, CLOSED: 4, WRONG: 5}),
        "wait;release;wait": (27, 49, {HANG: 11}),
        "wait kill release": (473, 1375, {HANG: 3, CLOSED: 4, WRONG: 5}),
        "signal signal wait release": (729, 2493, {HANG: 3, CLOSED: 4, WRONG: 5}),
    },
    "go-2023-find/linux": {
        "kill wait": (216, 561, {CLOSED: 10, WRONG: 11}),
        "kill release": (186, 527, {CLOSED: 5, WRONG: 6}),
        "wait wait": (366, 926, {CLOSED: 10, WRONG: 11}),
        "wait release": (344, 931, {CLOSED: 5, WRONG: 6}),
        "wait;release;wait": (78, 166, {}),
        "wait kill release": (2774, 9802, {CLOSED: 5, WRONG: 6}),
        "signal signal wait release": (24956, 109887, {CLOSED: 5, WRONG: 6}),
    },
    "go-2023-find/linux-pid": {
        "kill wait": (496, 1480, {}),
        "kill release": (180, 536, {WRONG: 8}),
        "wait wait": (852, 2534, {WRONG: 21}),
        "wait release": (248, 684, {}),
        "wait;release;wait": (112, 254, {}),
        "wait kill release": (1704, 6060, {WRONG: 8}),
        "signal signal wait release": (13448, 59528, {WRONG: 8}),
    },
    "go-2023-find/windows": {
        "kill wait": (86, 169, {CLOSED: 11, WRONG: 12}),
        "kill release": (67, 143, {CLOSED: 5, WRONG: 6}),
        "wait wait": (146, 299, {HANG: 9, CLOSED: 10, WRONG: 11}),
        "wait release": (81, 169, {HANG: 3, CLOSED: 4, WRONG: 5}),
        "wait;release;wait": (27, 49, {HANG: 11}),
        "wait kill release": (473, 1375, {HANG: 3, CLOSED: 4, WRONG: 5}),
        "signal signal wait release": (729, 2493, {HANG: 3, CLOSED: 4, WRONG: 5}),
    },
    "go-2023-reland/linux": {
        "kill wait": (216, 561, {CLOSED: 10, WRONG: 11}),
        "kill release": (186, 527, {CLOSED: 5, WRONG: 6}),
        "wait wait": (366, 926, {CLOSED: 10, WRONG: 11}),
        "wait release": (344, 931, {CLOSED: 5, WRONG: 6}),
        "wait;release;wait": (78, 166, {}),
        "wait kill release": (2774, 9802, {CLOSED: 5, WRONG: 6}),
        "signal signal wait release": (24956, 109887, {CLOSED: 5, WRONG: 6}),
    },
    "go-2023-reland/linux-pid": {
        "kill wait": (496, 1480, {}),
        "kill release": (180, 536, {WRONG: 8}),
        "wait wait": (852, 2534, {WRONG: 21}),
        "wait release": (248, 684, {}),
        "wait;release;wait": (112, 254, {}),
        "wait kill release": (1704, 6060, {WRONG: 8}),
        "signal signal wait release": (13448, 59528, {WRONG: 8}),
    },
    "go-2023-reland/windows": {
        "kill wait": (86, 169, {CLOSED: 11, WRONG: 12}),
        "kill release": (67, 143, {CLOSED: 5, WRONG: 6}),
        "wait wait": (146, 299, {HANG: 9, CLOSED: 10, WRONG: 11}),
        "wait release": (81, 169, {HANG: 3, CLOSED: 4, WRONG: 5}),
        "wait;release;wait": (27, 49, {HANG: 11}),
        "wait kill release": (473, 1375, {HANG: 3, CLOSED: 4, WRONG: 5}),
        "signal signal wait release": (729, 2493, {HANG: 3, CLOSED: 4, WRONG: 5}),
    },
    "go-2024/linux": {
        "kill wait": (93, 169, {}),
        "kill release": (47, 90, {}),
        "wait wait": (114, 204, {}),
        "wait release": (67, 116, {}),
        "wait;release;wait": (17, 20, {}),
        "wait kill release": (508, 1242, {}),
        "signal signal wait release": (7130, 24165, {}),
    },
    "go-2024/linux-find": {
        "kill wait": (93, 169, {}),
        "kill release": (47, 90, {}),
        "wait wait": (114, 204, {}),
        "wait release": (67, 116, {}),
        "wait;release;wait": (17, 20, {}),
        "wait kill release": (508, 1242, {}),
        "signal signal wait release": (7130, 24165, {}),
    },
    "go-2024/linux-pid": {
        "kill wait": (186, 447, {}),
        "kill release": (84, 208, {WRONG: 6}),
        "wait wait": (354, 864, {WRONG: 19}),
        "wait release": (142, 303, {}),
        "wait;release;wait": (64, 115, {}),
        "wait kill release": (844, 2464, {WRONG: 6}),
        "signal signal wait release": (5756, 21850, {WRONG: 6}),
    },
    "go-2024/windows": {
        "kill wait": (153, 292, {}),
        "kill release": (71, 141, {}),
        "wait wait": (188, 360, {}),
        "wait release": (92, 181, {}),
        "wait;release;wait": (31, 48, {}),
        "wait kill release": (763, 2028, {}),
        "signal signal wait release": (6285, 21516, {}),
    },
    "go-2024/plan9": {
        "kill wait": (138, 359, {WRONG: 5}),
        "kill release": (110, 281, {WRONG: 5}),
        "wait wait": (162, 413, {WRONG: 6}),
        "wait release": (146, 344, {WRONG: 6}),
        "wait;release;wait": (66, 126, {WRONG: 6}),
        "wait kill release": (688, 2147, {WRONG: 5}),
        "signal signal wait release": (3326, 12946, {WRONG: 5}),
    },
    "go-2025-double/linux": {
        "kill wait": (280, 546, {PANIC: 17}),
        "kill release": (121, 251, {PANIC: 7}),
        "wait wait": (354, 680, {PANIC: 17}),
        "wait release": (157, 299, {PANIC: 7}),
        "wait;release;wait": (25, 30, {}),
        "wait kill release": (2370, 6436, {PANIC: 7}),
        "signal signal wait release": (68843, 258477, {PANIC: 7}),
    },
    "go-2025-double/linux-pid": {
        "kill wait": (186, 447, {}),
        "kill release": (84, 208, {WRONG: 6}),
        "wait wait": (354, 864, {WRONG: 19}),
        "wait release": (142, 303, {}),
        "wait;release;wait": (64, 115, {}),
        "wait kill release": (844, 2464, {WRONG: 6}),
        "signal signal wait release": (5756, 21850, {WRONG: 6}),
    },
    "go-2025/linux": {
        "kill wait": (138, 261, {}),
        "kill release": (87, 180, {}),
        "wait wait": (186, 345, {}),
        "wait release": (118, 220, {}),
        "wait;release;wait": (21, 25, {}),
        "wait kill release": (974, 2543, {}),
        "signal signal wait release": (12739, 45121, {}),
    },
    "go-2025/linux-pid": {
        "kill wait": (200, 480, {}),
        "kill release": (116, 298, {WRONG: 6}),
        "wait wait": (412, 1009, {WRONG: 20}),
        "wait release": (192, 430, {}),
        "wait;release;wait": (66, 118, {}),
        "wait kill release": (1184, 3598, {WRONG: 6}),
        "signal signal wait release": (8192, 32138, {WRONG: 6}),
    },
    "go-2025/windows": {
        "kill wait": (217, 427, {}),
        "kill release": (125, 265, {}),
        "wait wait": (306, 599, {}),
        "wait release": (148, 300, {}),
        "wait;release;wait": (35, 53, {}),
        "wait kill release": (1393, 3876, {}),
        "signal signal wait release": (11304, 40587, {}),
    },
    "dotnet-safehandle/any": {
        "use dispose": (30, 46, {}),
        "use use dispose": (297, 694, {}),
        "use dispose dispose": (133, 299, {}),
        "use use dispose invalidate": (814, 2210, {}),
    },
    "go-fdmutex/any": {
        "use close": (60, 103, {}),
        "read read close": (494, 1149, {}),
        "read write close": (539, 1321, {}),
        "read read write close": (6723, 21042, {}),
        "use read close close": (3970, 12609, {}),
    },
}

CASES = [pytest.param(t, s, id=f"{t}:{s}") for t, rows in ROWS.items() for s in rows]
TABLES = {f"{t.id}/{t.platform}": t for t in all_tables()}

SOUND = (
    "go-2024/linux",
    "go-2024/linux-find",
    "go-2024/windows",
    "go-2025/linux",
    "go-2025/windows",
    "dotnet-safehandle/any",
    "go-fdmutex/any",
)
"""The tables in which no law breaks in any row."""


def search(name: str, row: str) -> Exploration:
    """Search ``row`` of the table ``name`` completely."""
    return explore(System(TABLES[name], scenario(*row.split())))


@pytest.mark.parametrize(("name", "row"), CASES)
def test_states_are_counted_exactly_and_laws_break_as_known(name: str, row: str) -> None:
    """States, transitions, and the shortest counterexample of every law that breaks."""
    found = search(name, row)
    broken = {law: len(c.steps) for law, c in found.counterexamples.items()}
    assert found.complete
    assert (found.states, found.transitions, broken) == ROWS[name][row]


def test_every_table_has_its_rows() -> None:
    """No table is left out, and none is counted that does not exist."""
    assert ROWS.keys() == TABLES.keys()
    assert all(ROWS.values())


def test_the_sound_designs_are_exactly_these() -> None:
    """A table is sound exactly if no law breaks in any of its rows."""
    sound = [name for name, rows in ROWS.items() if not any(b for _, _, b in rows.values())]
    assert sorted(sound) == sorted(SOUND)


def test_a_law_that_breaks_is_one_that_the_table_states() -> None:
    """Every broken law of the rows is in the laws of its table."""
    for name, rows in ROWS.items():
        stated = {law.id for law in TABLES[name].laws}
        assert {law for _, _, broken in rows.values() for law in broken} <= stated


@pytest.mark.parametrize("name", list(ROWS))
def test_every_law_of_a_table_is_seen_to_mean_something(name: str) -> None:
    """Every `sometimes` of a table is shown by one of its rows: no law holds for want of runs."""
    unseen = {law.id for law in TABLES[name].laws if law.kind == "sometimes"}
    for row in ROWS[name]:
        unseen &= set(search(name, row).unseen)
    assert unseen == set()


@pytest.mark.parametrize("table", all_tables(), ids=lambda t: f"{t.id}/{t.platform}")
def test_every_law_has_a_sight_beside_it_that_exists(table: Table) -> None:
    """A `sometimes` names the law that it keeps from being vacuous."""
    stated = {law.id for law in table.laws}
    for law in table.laws:
        if law.kind == "sometimes":
            assert law.beside in stated, law.id


def test_a_thread_never_chooses() -> None:
    """At most one command of a thread is enabled in any state: a schedule says who, not what."""
    for name in ROWS:
        row = next(iter(ROWS[name]))
        system = System(TABLES[name], scenario(*row.split()))
        seen, todo = {system.initial}, [system.initial]
        while todo:
            state = todo.pop()
            for i in range(len(state[1])):
                assert len(system.thread_steps(state, i)) <= 1, (name, row)
            for step in system.steps(state):
                if step.state not in seen:
                    seen.add(step.state)
                    todo.append(step.state)


def test_no_design_is_registered_twice() -> None:
    """A design on a platform is one table, and is found by its id."""
    assert len(TABLES) == len(all_tables())
    assert all(get(t.id, t.platform) is t for t in all_tables())
