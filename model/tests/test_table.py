"""A table is checked when it is defined; an error says fault, reason and remedy."""

from dataclasses import replace

import pytest

from lastref.model.designs.go_2024 import GO_2024
from lastref.model.table import END, Command, DesignError, Law, Must, Table, command, local, shared

X = shared("x", 8, "a byte")
L = local("l", 8, "a local byte")


def table(*commands: Command, **changes: object) -> Table:
    """Return a small table with `commands` and its method at `a`."""
    parts: dict[str, object] = {
        "id": "toy",
        "platform": "any",
        "title": "toy",
        "source": "this test",
        "shared": (X,),
        "local": (L,),
        "methods": {"go": "a"},
        "commands": commands,
    }
    return Table(**(parts | changes))  # type: ignore[arg-type]


GOOD = command("a", "load", "a", END, X == 0, {L: X})


def test_a_good_table_is_accepted() -> None:
    """The toy table and go-2024 are well formed, and their parts are found by name."""
    toy = table(GOOD)
    assert toy.locations == ("a", "end", "panicked", "blocked")
    assert toy.by_name["a"].reads == {"x"}
    assert toy.by_name["a"].writes == {"l"}
    assert GO_2024.law("no-panic").kind == "must"


@pytest.mark.parametrize(
    ("build", "fault"),
    [
        (lambda: table(GOOD, GOOD), "has the command 'a' twice"),
        (lambda: table(GOOD, shared=(X, X)), "has the variable 'x' twice"),
        (
            lambda: table(command("a", "load", "a", END, shared("y", 8, "") == 0)),
            "command 'a' of design toy uses y",
        ),
        (lambda: table(command("a", "load", "a", END, X)), "guard of command 'a'"),
        (
            lambda: table(command("a", "load", "a", END, X == 0, {X: shared("w", 16, "")})),
            "uses w",
        ),
        (
            lambda: table(
                replace(GOOD, update=(("x", shared("l", 16, "")),)), local=(local("l", 16, ""),)
            ),
            "sets x to a value of 16 bits",
        ),
        (lambda: table(command("a", "load", "a", "nowhere")), "goes to 'nowhere'"),
        (lambda: table(replace(GOOD, must=(Must("unsaid", X == 0),))), "law 'unsaid'"),
        (lambda: table(GOOD, methods={"go": "b"}), "method 'go' of design toy starts at 'b'"),
        (
            lambda: table(GOOD, laws=(Law("l", "always", "", shared("z", 8, "") == 0),)),
            "law 'l' of design toy uses z",
        ),
        (
            lambda: table(GOOD, laws=(Law("s", "sometimes", "", shown_by=frozenset({"b"})),)),
            "law 's' of design toy uses b",
        ),
    ],
)
def test_a_bad_table_is_refused_with_fault_reason_and_remedy(build: object, fault: str) -> None:
    """Unknown names, wrong widths, dangling jumps and doubled names are caught at definition."""
    with pytest.raises(DesignError) as caught:
        build()  # type: ignore[operator]
    assert fault in caught.value.fault
    assert caught.value.reason
    assert caught.value.remedy
