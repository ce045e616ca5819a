"""The TLA+ module means what the table means: read by a parser that nobody here wrote, then run.

TLC is not in any package registry, so two readers stand in for it where it is missing.  The grammar
of the TLA+ Foundation's tree-sitter parser says whether the module is TLA+ at all, and the small
evaluator below, which knows nothing of tables, runs the parsed module by the meaning that
Specifying Systems gives to its operators and counts the states.  With TLA2TOOLS naming a
tla2tools.jar, TLC itself counts.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tree_sitter
import tree_sitter_tlaplus

from lastref.model.designs import all_tables, get
from lastref.model.explore import Exploration, explore
from lastref.model.system import Scenario, System, scenario
from lastref.model.table import END, DesignError, Law, Table, command, kernel_command, local, shared
from lastref.model.tla import Module, tla

JAR = os.environ.get("TLA2TOOLS", "")
needs_tlc = pytest.mark.skipif(
    not Path(JAR).is_file() or shutil.which("java") is None,
    reason="TLC is not here; install Java and let TLA2TOOLS name a tla2tools.jar",
)
NEAR_THE_END = {"word": (1 << 62) - 3}
CASES: dict[str, tuple[tuple[str, str], Scenario]] = {
    "mixed": (("go-2024", "linux"), scenario("signal|wait|release", "release")),
    "in turn": (("go-2024", "linux"), scenario("wait;release", "signal;signal")),
    "overflow": (("go-2024", "linux"), scenario("signal", "signal", initial=NEAR_THE_END)),
    "urgent": (("go-2024", "linux"), scenario("kill", "release", urgent=["reopen", "exit"])),
    "no adversary": (("go-2024", "linux"), scenario("wait", "release", adversary=["exit"])),
    "windows": (("go-2024", "windows"), scenario("wait", "release")),
    "pid": (("go-2016", "linux-pid"), scenario("kill", "release")),
    "two words": (("go-2025", "linux"), scenario("signal", "release")),
    "the race": (("go-2023-pidfd", "linux"), scenario("kill", "release")),
    "double": (("go-2025-double", "linux"), scenario("wait", "release")),
    "32 bits": (("dotnet-safehandle", "any"), scenario("use", "dispose")),
    "fields": (("go-fdmutex", "any"), scenario("read", "close")),
}


@dataclass(frozen=True)
class Node:
    """A node of the syntax: its kind, its text, its children."""

    kind: str
    text: str
    parts: tuple[Node, ...]

    def child(self, kind: str) -> Node:
        """Return the first child of this kind."""
        return next(p for p in self.parts if p.kind == kind)


def tree_of(module: Module) -> tree_sitter.Node:
    """Return the root of a module's syntax, as the parser gives it; it has no error in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the grammar still gives a bare number
        language = tree_sitter.Language(tree_sitter_tlaplus.language())
    tree = tree_sitter.Parser(language).parse(module.text.encode())
    assert not tree.root_node.has_error, module.text
    return tree.root_node


def parsed(module: Module) -> Node:
    """Return the syntax of a module without its brackets and comments."""

    def read(node: tree_sitter.Node) -> Node:
        assert node.text is not None
        marks = ("(", ")", "{", "}", "[", "]", ",", "comment")
        parts = tuple(read(c) for c in node.children if c.type not in marks)
        return Node(node.type, node.text.decode(), parts)

    return read(tree_of(module))


Values = Mapping[str, Any]
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "cap": lambda a, b: a & b,
    "cup": lambda a, b: a | b,
    "setminus": lambda a, b: a - b,
    "eq": lambda a, b: a == b,
    "neq": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "plus": lambda a, b: a + b,
    "minus": lambda a, b: a - b,
    "div": lambda a, b: a // b,
    "mod": lambda a, b: a % b,
    "pow": lambda a, b: a**b,
    "dots_2": lambda a, b: frozenset(range(a, b + 1)),
}
LIBRARY: dict[str, Callable[[Any], Any]] = {"Cardinality": len, "Len": len}
WRAPPERS = ("parentheses", "conj_item", "disj_item")


class Function(tuple[tuple[Any, Any], ...]):
    """A TLA+ function as its sorted pairs, so that it can lie in a state."""

    def __call__(self, argument: Any) -> Any:
        """Return the value at an argument."""
        return next(value for at, value in self if at == argument)


class Evaluator:
    """The meaning of a parsed module: values of expressions, states that an action makes."""

    def __init__(self, source: Node) -> None:
        self.operators: dict[str, tuple[tuple[str, ...], Node]] = {}
        self.variables: list[str] = []
        self._actions: dict[str, bool] = {}
        for unit in source.child("module").parts:
            names = [p.text for p in unit.parts if p.kind == "identifier"]
            if unit.kind == "variable_declaration":
                self.variables += names
            elif unit.kind == "operator_definition":
                self.operators[names[0]] = (tuple(names[1:]), unit.parts[-1])

    def value(self, node: Node, bound: Values) -> Any:
        """Return the value of an expression where these names are bound; a word is a set."""
        of, parts = self.value, node.parts
        match node.kind:
            case "parentheses" | "conj_item" | "disj_item":
                return of(parts[-1], bound)
            case "identifier_ref" | "bound_op":
                return self._named(node, bound)
            case "nat_number":
                return int(node.text)
            case "string":
                return node.text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
            case "boolean":
                return node.text == "TRUE"
            case "finite_set_literal":
                return frozenset(of(p, bound) for p in parts)
            case "tuple_literal":
                return tuple(of(p, bound) for p in parts[1:-1])
            case "conj_list":
                return all(of(p, bound) for p in parts)
            case "disj_list":
                return any(of(p, bound) for p in parts)
            case "if_then_else":
                return of(parts[3] if of(parts[1], bound) else parts[5], bound)
            case "case":
                arms = (p for p in parts if p.kind == "case_arm")
                return next(of(a.parts[-1], bound) for a in arms if of(a.parts[0], bound))
            case "function_evaluation":
                function, at = of(parts[0], bound), of(parts[1], bound)
                return function(at) if isinstance(function, Function) else function[at - 1]
            case "function_literal":
                name = parts[0].child("identifier").text
                ways = self.ways(parts[0], bound)
                return Function(sorted((w[name], of(parts[-1], w)) for w in ways))
            case "except":
                update = node.child("except_update")
                at = of(update.child("except_update_specifier").parts[0].parts[0], bound)
                new = of(update.parts[-1], bound)
                return Function((a, new if a == at else v) for a, v in of(parts[0], bound))
            case "set_filter":
                name = parts[0].child("identifier").text
                return frozenset(w[name] for w in self.ways(parts[0], bound) if of(parts[-1], w))
            case "set_map":
                return frozenset(of(parts[0], w) for w in self.ways(parts[-1], bound))
            case "bounded_quantification":
                kind = any if parts[0].kind == "exists" else all
                return kind(of(parts[-1], w) for w in self.ways(parts[1], bound))
        return self._operation(node, bound)

    def _named(self, node: Node, bound: Values) -> Any:
        called, *arguments = node.parts or (node,)
        name = called.text
        if name in bound:
            return bound[name]
        given = [self.value(a, bound) for a in arguments]
        if name in LIBRARY:
            return LIBRARY[name](*given)
        parameters, body = self.operators[name]
        return self.value(body, {**bound, **dict(zip(parameters, given, strict=True))})

    def _operation(self, node: Node, bound: Values) -> Any:
        of, parts = self.value, node.parts
        if node.kind == "bound_postfix_op":
            assert parts[1].kind == "prime"
            return bound[f"{parts[0].text}'"]
        if node.kind == "bound_prefix_op":
            assert parts[0].kind == "lnot"
            return not of(parts[1], bound)
        assert node.kind == "bound_infix_op", node
        left, operator, right = parts
        match operator.kind:
            case "land":
                return of(left, bound) and of(right, bound)
            case "lor":
                return of(left, bound) or of(right, bound)
            case "implies":
                return not of(left, bound) or of(right, bound)
            case "in":
                return self._member(of(left, bound), right, bound)
        return BINARY[operator.kind](of(left, bound), of(right, bound))

    def _member(self, value: Any, node: Node, bound: Values) -> bool:
        """Return whether the value is in a set, which may be too large to be made."""
        if node.kind == "bound_prefix_op":
            assert node.parts[0].kind == "powerset"
            return bool(value <= self.value(node.parts[1], bound))
        if node.kind == "set_of_functions":
            domain, _, values = node.parts
            inside = all(self._member(v, values, bound) for _, v in value)
            return inside and {at for at, _ in value} == self.value(domain, bound)
        if node.text == "BOOLEAN":
            return isinstance(value, bool)
        return value in self.value(node, bound)

    def ways(self, bounds: Node, bound: Values) -> Iterator[Values]:
        """Yield every way to bind a name to an element of a set."""
        name, _, domain = bounds.parts
        for element in self.value(domain, bound):
            yield {**bound, name.text: element}

    def taken(self, node: Node, bound: Values) -> Iterator[Values]:
        """Yield every way to take an action: the bindings, with those of the primed variables."""
        parts = node.parts
        match node.kind:
            case "parentheses" | "conj_item" | "disj_item":
                yield from self.taken(parts[-1], bound)
            case "conj_list":
                yield from self._in_turn(parts, bound)
            case "disj_list":
                for part in parts:
                    yield from self.taken(part, bound)
            case "if_then_else":
                chosen = parts[3] if self.value(parts[1], bound) else parts[5]
                yield from self.taken(chosen, bound)
            case "bounded_quantification" if parts[0].kind == "exists":
                for way in self.ways(parts[1], bound):
                    yield from self.taken(parts[-1], way)
            case "bound_infix_op" if parts[1].kind in ("land", "lor"):
                sides = (parts[0], parts[2])
                if parts[1].kind == "land":
                    yield from self._in_turn(sides, bound)
                else:
                    yield from self.taken(sides[0], bound)
                    yield from self.taken(sides[1], bound)
            case "bound_infix_op" if parts[0].kind == "bound_postfix_op":
                assert parts[1].kind == "eq"
                yield from self._set(parts[0].parts[0].text, self.value(parts[2], bound), bound)
            case "bound_prefix_op" if parts[0].kind == "unchanged":
                yield from self._unchanged(parts[1], bound)
            case "identifier_ref" | "bound_op" if self._is_action(node):
                name, *arguments = parts if parts else (node,)
                parameters, body = self.operators[name.text]
                given = [self.value(a, bound) for a in arguments]
                inner = {**bound, **dict(zip(parameters, given, strict=True))}
                for way in self.taken(body, inner):
                    yield {**bound, **{n: v for n, v in way.items() if n.endswith("'")}}
            case _:
                if self.value(node, bound):
                    yield bound

    def _in_turn(self, parts: tuple[Node, ...], bound: Values) -> Iterator[Values]:
        if not parts:
            yield bound
            return
        for way in self.taken(parts[0], bound):
            yield from self._in_turn(parts[1:], way)

    def _set(self, name: str, value: Any, bound: Values) -> Iterator[Values]:
        if f"{name}'" not in bound:
            yield {**bound, f"{name}'": value}
        elif bound[f"{name}'"] == value:
            yield bound

    def _unchanged(self, node: Node, bound: Values) -> Iterator[Values]:
        names = [p.text for p in node.parts if p.kind == "identifier_ref"] or self.variables
        kept = {f"{n}'": bound[n] for n in names}
        assert not kept.keys() & bound.keys(), "a variable is set and said to be unchanged"
        yield {**bound, **kept}

    def _is_action(self, node: Node) -> bool:
        """Return whether a node names an operator that speaks of the values after a step."""
        name = (node.parts[0] if node.parts else node).text
        if name not in self._actions:
            body = self.operators[name][1] if name in self.operators else node
            kinds = ("identifier_ref", "bound_op")
            self._actions[name] = False  # what it comes to if it only names itself
            self._actions[name] = name in self.operators and any(
                n.kind in ("prime", "unchanged") or (n.kind in kinds and self._is_action(n))
                for n in nodes(body)
            )
        return self._actions[name]


def nodes(node: Node) -> Iterator[Node]:
    """Yield a node and all below it."""
    yield node
    for part in node.parts:
        yield from nodes(part)


@dataclass(frozen=True)
class Counted:
    """What a run of the module finds: the distinct states, and the laws that a state breaks."""

    states: int
    broken: frozenset[str]
    stuck: bool


def counted(module: Module) -> Counted:
    """Run the module as TLC would with ``-continue``: all states, what is checked in each."""
    meaning = Evaluator(parsed(module))
    primed = [f"{name}'" for name in meaning.variables]
    checked = dict(re.findall(r"^(?:INVARIANT|PROPERTY) ((\w+))$", module.configuration, re.M))
    steps = {n for n in checked if meaning.operators[n][1].text.startswith("[][")}
    (start,) = meaning.taken(as_next(meaning.operators["Init"][1]), {})
    first = tuple(start[name] for name in primed)
    found, behind, broken, stuck = {first}, [first], set[str](), False
    while behind:
        state = behind.pop()
        here = dict(zip(meaning.variables, state, strict=True))
        for name in checked.keys() - steps - broken:
            if not meaning.value(meaning.operators[name][1], here):
                broken.add(name)
        ways = list(meaning.taken(meaning.operators["Next"][1], here))
        stuck = stuck or not ways
        for way in ways:
            after = tuple(way[name] for name in primed)
            if after != state:  # [A]_vars allows a step that changes nothing
                inner = [meaning.operators[n][1] for n in sorted(steps - broken)]
                for name, law in zip(sorted(steps - broken), inner, strict=True):
                    if not meaning.value(step_of(law), way):
                        broken.add(name)
            if after not in found:
                found.add(after)
                behind.append(after)
    return Counted(len(found), frozenset(broken), stuck)


def as_next(node: Node) -> Node:
    """Return the initial predicate with every variable it sets primed: the step out of nothing."""
    items = []
    for item in node.parts:
        left, equals, right = item.parts[-1].parts
        primed = Node("bound_postfix_op", "", (left, Node("prime", "'", ())))
        items.append(Node("bound_infix_op", "", (primed, equals, right)))
    return Node("conj_list", "", tuple(items))


def step_of(node: Node) -> Node:
    """Return the action in ``[][action]_vars``."""
    return next(n for n in nodes(node) if n.kind == "step_expr_or_stutter").parts[0]


def operators_of(laws: set[str]) -> set[str]:
    """Return the operators that laws are called."""
    return {"".join(w[:1].upper() + w[1:] for w in law.split("-")) for law in laws}


def awkward() -> Table:
    """Return a table whose names mean something else in TLA+, or nothing."""
    flag = shared("t", 3, 'a name that is bound\nelsewhere, and "quotes"', initial=1)
    own = local("EXCEPT", 3, "a word of the language")
    quoted = 'a "place" \\ or another'
    return Table(
        id="9 lives",
        platform="any",
        title="awkward names",
        source="none",
        shared=(flag,),
        local=(own,),
        methods={"go": "1", "": "1"},
        commands=(
            command("go", "load", "1", quoted, update={own: flag}),
            command("Go", "store", quoted, END, own != 5, {flag: own + 1, own: 0}),
            command("again", "store", quoted, END, own == 5, {own: 0}),
        ),
        kernel=(kernel_command("Add", flag < 4, {flag: flag ^ 4}),),
        laws=(Law("next", "always", "a law that is broken", flag != 6),),
    )


@pytest.mark.parametrize("case", CASES)
def test_the_module_has_the_states_of_the_explorer_and_breaks_the_same_laws(case: str) -> None:
    """State for state, in a faulty design as well; each law is broken in both or in neither.

    To TLC a state is also stuck if every step out of it would break an obligation.
    """
    name, under = CASES[case]
    table = get(*name)
    found = explore(System(table, under))
    seen = counted(tla(table, under))
    assert seen.states == found.states
    assert seen.broken == operators_of(set(found.counterexamples))
    assert seen.broken or not seen.stuck


@needs_tlc
@pytest.mark.timeout(600)
def test_tlc_finds_as_many_distinct_states(tmp_path: Path) -> None:
    """TLC itself, told to go on after an error: the same counts, and errors where we have some."""
    for name, under in CASES.values():
        table = get(*name)
        _ask_tlc(tmp_path, tla(table, under), explore(System(table, under)))


def _ask_tlc(tmp_path: Path, module: Module, found: Exploration) -> None:
    (tmp_path / f"{module.name}.tla").write_text(module.text, encoding="utf-8")
    (tmp_path / f"{module.name}.cfg").write_text(module.configuration, encoding="utf-8")
    command_line = ["java", "-cp", JAR, "tlc2.TLC", "-continue", "-workers", "1", module.name]
    ran = subprocess.run(command_line, cwd=tmp_path, capture_output=True, text=True, check=False)
    counts = re.findall(r"(\d+) distinct states found", ran.stdout)
    assert counts, ran.stdout + ran.stderr
    assert int(counts[-1]) == found.states
    assert ("is violated" in ran.stdout) == bool(found.counterexamples), ran.stdout


def test_any_name_can_be_told() -> None:
    """Names that are words of TLA+, alike, empty or quoted: still TLA+, and the same states."""
    under = scenario("go", "go|")
    module = tla(awkward(), under)
    assert module.name == "9_lives_any"
    seen = counted(module)
    found = explore(System(awkward(), under))
    assert (seen.states, bool(seen.broken)) == (found.states, bool(found.counterexamples))


def test_every_design_is_tla() -> None:
    """The parser finds no error in the module of any table, each method a thread."""
    for table in all_tables():
        assert tree_of(tla(table, scenario(*table.methods))).child_count


@pytest.mark.parametrize("name", ["", "9", "WF_mine", "Naturals", "a-b", "../x", "IF"])
def test_a_module_has_a_name_that_tla_allows(name: str) -> None:
    """A module is named as its file; what TLA+ does not allow is refused."""
    with pytest.raises(DesignError, match="no name of a TLA"):
        tla(get("go-2024"), scenario("wait"), name)
