"""The layers, one direction: model ← conformance → impl; reports alone; stateful_tests sees all.

The imports are read from the sources, not observed, so an import in a branch that no test takes
counts as well. A module named in a string counts like an import: that is how import_module, `-m`
and importlib.resources name theirs.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

MAY_IMPORT: dict[str, frozenset[str]] = {
    "model": frozenset({"model"}),
    "impl": frozenset({"impl"}),
    "conformance": frozenset({"conformance", "impl", "model"}),
    "reports": frozenset({"reports"}),
    "stateful_tests": frozenset({"conformance", "impl", "model", "reports", "stateful_tests"}),
}
FOLDERS = tuple(MAY_IMPORT)

# The commands that hand result files to the reports; nothing else of conformance/ knows them.
SHOWS_REPORTS = frozenset({"conformance/cli/play.py", "conformance/cli/report.py"})

# What a file of model/ may import beyond the standard library; a file not named here: nothing.
PROVERS: dict[str, frozenset[str]] = {
    "model/accesses.py": frozenset({"z3"}),
    "model/bmc.py": frozenset({"z3"}),
    "model/bucket.py": frozenset({"numpy"}),
    "model/conserve.py": frozenset({"z3"}),
    "model/counting.py": frozenset({"z3"}),
    "model/equivalence.py": frozenset({"z3"}),
    "model/fields.py": frozenset({"z3"}),
    "model/horn.py": frozenset({"z3"}),
    "model/houdini.py": frozenset({"z3"}),
    "model/induct.py": frozenset({"z3"}),
    "model/invariant.py": frozenset({"z3"}),
    "model/invariants_fdmutex.py": frozenset({"z3"}),
    "model/invariants_handle.py": frozenset({"z3"}),
    "model/invariants_pid.py": frozenset({"z3"}),
    "model/lockfree.py": frozenset({"z3"}),
    "model/memory_order.py": frozenset({"z3"}),
    "model/moved.py": frozenset({"z3"}),
    "model/overflow.py": frozenset({"z3"}),
    "model/proof.py": frozenset({"z3"}),
    "model/prove.py": frozenset({"z3"}),
    "model/refine.py": frozenset({"z3"}),
    "model/smt.py": frozenset({"z3"}),
    "model/spacer.py": frozenset({"z3"}),
    "model/specification.py": frozenset({"z3"}),
    "model/step_tables.py": frozenset({"numpy"}),
    "model/stutter.py": frozenset({"z3"}),
    "model/sweep.py": frozenset({"numpy"}),
    "model/word_spec.py": frozenset({"z3"}),
}

_OURS = re.compile(rf"lastref\.({'|'.join(FOLDERS)})(\.\w+)*")
_DYNAMIC = frozenset({"import_module", "__import__", "run_module", "spec_from_file_location"})


def sources(folder: str) -> list[Path]:
    """Return the Python files of one folder, tests included."""
    return sorted((ROOT / folder).rglob("*.py"))


def module_name(path: Path) -> str:
    """Return the name under which a file of ours is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("lastref", *(parts[:-1] if parts[-1] == "__init__" else parts)))


def references(source: str, module: str, *, is_package: bool = False) -> Iterator[str]:
    """Yield the full name of every module that a source text names, however it does.

    A dynamic import whose name cannot be read from the text is yielded as "?".
    """
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from _from(node, package)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if _OURS.fullmatch(node.value):
                yield node.value
        elif isinstance(node, ast.Call) and _called(node) in _DYNAMIC:
            yield from _dynamic(node, package)


def _from(node: ast.ImportFrom, package: str) -> Iterator[str]:
    base = _resolved(node.module or "", node.level, package)
    # `from lastref import impl` names lastref.impl; `from lastref.impl import word` names both.
    yield base
    if base == "lastref" or base.startswith("lastref."):
        yield from (f"{base}.{alias.name}" for alias in node.names)


def _resolved(name: str, level: int, package: str) -> str:
    """Return the full name of a relative one; ``level`` is its number of leading dots."""
    if level == 0:
        return name
    parents = package.split(".")
    return ".".join(filter(None, [*parents[: len(parents) - level + 1], name]))


def _called(node: ast.Call) -> str:
    function = node.func
    return str(getattr(function, "attr", None) or getattr(function, "id", ""))


def _dynamic(node: ast.Call, package: str) -> Iterator[str]:
    name = node.args[0] if node.args else None
    if isinstance(name, ast.Constant) and isinstance(name.value, str):
        bare = name.value.lstrip(".")
        yield _resolved(bare, len(name.value) - len(bare), package)
    else:
        yield "?"


def layers_named(names: Iterator[str]) -> set[str]:
    """Return which of our folders, or "?", the names lead into."""
    found = set()
    for name in names:
        first, _, rest = name.partition(".")
        if first == "lastref":
            found.add(rest.partition(".")[0])
        elif first in FOLDERS or name == "?":
            found.add(first)
    return found - {""}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_layer_imports_only_the_layers_below_it(folder: str) -> None:
    """Every module of a folder, its tests included, names modules of the allowed folders only."""
    wrong = {
        relative: beyond
        for path in sources(folder)
        if (beyond := _layers_of(path) - _allowed(folder, relative := _relative(path)))
    }
    assert not wrong


def _relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _allowed(folder: str, relative: str) -> frozenset[str]:
    return MAY_IMPORT[folder] | ({"reports"} if relative in SHOWS_REPORTS else frozenset())


def _layers_of(path: Path) -> set[str]:
    text = path.read_text(encoding="utf-8")
    names = references(text, module_name(path), is_package=path.name == "__init__.py")
    return layers_named(names)


@pytest.mark.parametrize("folder", ["model", "impl", "conformance", "reports"])
def test_every_layer_has_sources_to_look_at(folder: str) -> None:
    """The law above is about something: no folder is empty, or elsewhere by now."""
    assert sources(folder)


def test_the_model_needs_the_standard_library_only() -> None:
    """Outside the prover, model/ imports nothing that does not come with Python."""
    wrong = {}
    for path in sources("model"):
        relative = path.relative_to(ROOT).as_posix()
        if "/tests/" in relative:
            continue
        names = references(path.read_text(encoding="utf-8"), module_name(path))
        foreign = {name.partition(".")[0] for name in names} - {"lastref", "__future__", ""}
        foreign -= sys.stdlib_module_names | PROVERS.get(relative, frozenset())
        if foreign:
            wrong[relative] = foreign
    assert not wrong


@pytest.mark.parametrize("relative", PROVERS)
def test_every_exception_for_the_prover_is_still_needed(relative: str) -> None:
    """A file on the prover's list exists and imports all that it is allowed to."""
    path = ROOT / relative
    names = {
        name.partition(".")[0] for name in references(path.read_text("utf-8"), "lastref.model.x")
    }
    assert names >= PROVERS[relative]


@pytest.mark.parametrize(
    "source",
    [
        "import lastref.model",
        "import lastref.model.word as w",
        "from lastref import model",
        "from lastref.model import word",
        "from lastref.model.word import Word",
        "from .. import model",
        "from ..model import word",
        "from ..model.designs import go_2024",
        "def f():\n    from lastref.model import word",
        "if False:\n    import lastref.model",
        "import importlib\nimportlib.import_module('lastref.model.word')",
        "from importlib import import_module\nimport_module('..model', __package__)",
        "__import__('lastref.model')",
        "import runpy\nrunpy.run_module('lastref.model')",
        "argv = ['python', '-m', 'lastref.model.word']",
        "import model",
        "from model.word import Word",
    ],
)
def test_every_way_to_name_a_module_is_seen(source: str) -> None:
    """Each form of an import of the model, written in impl/, is told."""
    assert "model" in layers_named(references(source, "lastref.impl.word"))


def test_a_dynamic_import_of_an_unreadable_name_is_seen() -> None:
    """A name that is computed cannot be checked, so it counts as a violation itself."""
    names = references("import importlib\nimportlib.import_module(name)", "lastref.impl.word")
    assert layers_named(names) == {"?"}


@pytest.mark.parametrize(
    "source",
    ["import os", "from . import word", "import modelling", '"""See lastref.model for more."""'],
)
def test_what_is_no_import_of_another_layer_is_let_pass(source: str) -> None:
    """Neither one's own package, nor a like name, nor prose is taken for a forbidden import."""
    assert layers_named(references(source, "lastref.impl.word")) <= {"impl"}
