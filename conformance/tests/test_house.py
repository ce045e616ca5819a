"""The house rules that a machine can check: what lies where, the wheel, types and style."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOLDERS = ("conformance", "impl", "model", "reports")
TOP_LEVEL = {
    *FOLDERS,
    "stateful_tests",
    "docs",
    "changes",
    "pyproject.toml",
    "action.yml",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "LICENSE",
}


def project_files() -> list[Path]:
    """Return what is or would be tracked: everything that is not ignored and exists."""
    listed = _run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT)
    names = filter(None, listed.stdout.split("\0"))
    return sorted(path for path in (ROOT / name for name in names) if path.is_file())


def _run(
    argv: list[str], cwd: Path = ROOT, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        argv, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, f"{argv} ended with {ended.returncode}:\n{_told(ended)}"
    return ended


def _told(ended: subprocess.CompletedProcess[str]) -> str:
    return ended.stdout + ended.stderr


def _is_test(path: Path) -> bool:
    return "tests" in path.relative_to(ROOT).parts or path.is_relative_to(ROOT / "stateful_tests")


def test_the_top_level_holds_only_what_belongs_there() -> None:
    """Beside the named folders and files, only dot files lie at the top."""
    top = {path.relative_to(ROOT).parts[0] for path in project_files()}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL
    assert set(FOLDERS) <= top


# Written so that no pattern matches its own text here.
_FOREIGN = re.compile(
    r"/(?:home|root|Users)/\w|[A-Z]:\\\\?Users"
    r"|pypi\.org|pythonhosted\.org|registry\.npmjs|crates\.io|proxy\.golang|repo1?\.maven"
    r"|--(extra-)?index-url\b|--find[-]links\b|--trusted[-]host\b"
)


def test_no_file_names_a_machine_or_a_registry() -> None:
    """No tracked file holds a home directory, this checkout's path, or a registry's host."""
    here = re.compile(f"{_FOREIGN.pattern}|{re.escape(str(ROOT))}/|{re.escape(str(Path.home()))}/")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in project_files()
        for number, line in enumerate(
            path.read_text(encoding="utf-8", errors="replace").splitlines(), 1
        )
        if here.search(line)
    ]
    assert not found


@pytest.mark.parametrize(
    "line",
    ["see /home/" + "ann/x", "C:\\" + "Users\\ann", "https://files.python" + "hosted.org/p"],
)
def test_a_machine_or_a_registry_would_be_noticed(line: str) -> None:
    """The pattern of the test above matches what it is there to find."""
    assert _FOREIGN.search(line)


def test_every_test_says_the_law_it_checks() -> None:
    """Each test function has a docstring."""
    silent = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in project_files()
        if _is_test(path) and path.suffix == ".py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert not silent


_POSIX_ONLY = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}


def test_every_module_can_be_imported_on_windows() -> None:
    """No module imports at its top what Python has on POSIX systems only."""
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in project_files()
        if path.suffix == ".py" and not _is_test(path)
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        if {*(alias.name for alias in node.names), getattr(node, "module", "")} & _POSIX_ONLY
    ]
    assert not wrong


def _pinned(constraints: str) -> set[str]:
    """Return the names that a file of constraints pins; each has a version and hashes."""
    text = (ROOT / constraints).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip())
    assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)
    return {entry.partition("==")[0] for entry in entries}


def test_every_dependency_is_pinned_with_hashes() -> None:
    """The constraints pin each requirement of pyproject.toml to versions with hashes."""
    project = PYPROJECT["project"]
    extras = dict(project["optional-dependencies"])
    site = extras.pop("docs")  # the documents' site has an environment of its own
    asked = [*PYPROJECT["build-system"]["requires"], *project["dependencies"]]
    for extra in extras.values():
        asked += extra
    for names, constraints in (
        (asked, ".ci/constraints.txt"),
        ([*project["dependencies"], *site], ".ci/constraints-docs.txt"),
    ):
        wanted = {re.split(r"[<>=!~ ;\[]", name)[0] for name in names}
        assert wanted <= _pinned(constraints), constraints


def folders_with_python() -> set[str]:
    """Return the packages that the folders hold, by the names they are installed under."""
    return {
        ".".join(("lastref", *path.parent.relative_to(ROOT).parts))
        for path in project_files()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in FOLDERS
        if not _is_test(path)
    }


def test_every_folder_with_python_files_is_in_the_wheel_list() -> None:
    """`packages` in pyproject.toml names each package folder, tests apart, and nothing else."""
    assert set(PYPROJECT["tool"]["setuptools"]["packages"]) == folders_with_python()


def test_every_package_is_declared_to_be_typed() -> None:
    """Each of the four installed packages carries py.typed and an __init__.py."""
    for folder in FOLDERS:
        assert (ROOT / folder / "py.typed").is_file()
        assert (ROOT / folder / "__init__.py").is_file()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the project, so that no build leaves traces in it."""
    copy = tmp_path_factory.mktemp("source")
    for path in project_files():
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    out = tmp_path_factory.mktemp("wheel")
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    _run([sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(out), str(copy)])
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a folder of its own; return the folder."""
    target = tmp_path_factory.mktemp("installed")
    options = ["--quiet", "--no-deps", "--no-index", "--target", str(target)]
    _run([sys.executable, "-m", "pip", "install", *options, str(wheel)])
    return target


def _outside(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python on the installed wheel, away from the checkout."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return _run([sys.executable, "-P", *arguments], installed.parent, environment)


def _names(wheel: Path) -> list[str]:
    return zipfile.ZipFile(wheel).namelist()


def test_the_wheel_holds_every_source_and_no_test(wheel: Path) -> None:
    """Sources, schemas, templates and py.typed are in the wheel; no test is."""
    expected = {
        "/".join(("lastref", *path.relative_to(ROOT).parts))
        for path in project_files()
        if path.relative_to(ROOT).parts[0] in FOLDERS and not _is_test(path)
    }
    held = {name for name in _names(wheel) if ".dist-info/" not in name}
    assert held == expected


def test_the_wheel_installs_one_namespace_and_no_package_called_model(wheel: Path) -> None:
    """At its top the wheel has `lastref` only, and that is a namespace package."""
    tops = {name.split("/")[0] for name in _names(wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"lastref"}
    assert "lastref/__init__.py" not in _names(wheel)


def test_every_installed_module_imports_away_from_the_checkout(
    installed: Path, wheel: Path
) -> None:
    """Each module of the wheel can be imported, and comes from the wheel."""
    modules = sorted(
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in _names(wheel)
        if name.endswith(".py") and not name.endswith("__main__.py")
    )
    program = (
        "import importlib, sys\n"
        "for name in sys.argv[2:]:\n"
        "    file = importlib.import_module(name).__file__\n"
        "    assert file.startswith(sys.argv[1]), (name, file)\n"
        "assert importlib.util.find_spec('model') is None\n"
    )
    _outside(installed, "-c", program, str(installed), *modules)


def test_the_installed_command_runs_away_from_the_checkout(installed: Path) -> None:
    """`lastref --version` of the wheel says the project's version."""
    said = _outside(installed, "-m", "lastref.conformance.cli", "--version").stdout
    assert said == f"lastref {PYPROJECT['project']['version']}\n"


@pytest.mark.slow
@pytest.mark.timeout(900)  # without mypy's cache it takes a minute, and a busy machine six
def test_all_python_is_strictly_typed(installed: Path, tmp_path: Path) -> None:
    """mypy --strict finds nothing in the installed wheel, the tests and the tools, and saw all."""
    shutil.copytree(installed / "lastref", tmp_path / "lastref")
    python = [path.relative_to(ROOT) for path in project_files() if path.suffix == ".py"]
    for path in (path for path in python if path.parts[0] in FOLDERS and _is_test(ROOT / path)):
        (tmp_path / "lastref" / path.parent).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, tmp_path / "lastref" / path)
    others = sorted({ROOT / path.parts[0] for path in python} - {ROOT / name for name in FOLDERS})
    ended = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--explicit-package-bases"]
        + ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache")]
        + [str(folder) for folder in (tmp_path / "lastref", *others)],
        env={**os.environ, "MYPYPATH": os.pathsep.join(map(str, (tmp_path, *others)))},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    told = re.fullmatch(r"Success: no issues found in (\d+) source files\n", ended.stdout)
    assert told, _told(ended)
    assert int(told[1]) >= len(python)


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff_finds_nothing_to_mend(command: list[str]) -> None:
    """The sources follow the style of pyproject.toml, in lint and in format."""
    _run([sys.executable, "-m", "ruff", *command, "--quiet", str(ROOT)])


def _readme_lines(end: str) -> list[str]:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("python3 ") and line.endswith(end)]


def test_the_readme_has_one_line_to_verify_and_one_to_test() -> None:
    """Two command lines, alike but for what they run; CI and .ci/run take them from there."""
    (verify,) = _readme_lines(" && .venv/bin/lastref verify")
    (tests,) = _readme_lines(" && .venv/bin/pytest -n auto")
    assert verify.rpartition(" && ")[0] == tests.rpartition(" && ")[0]
    runner = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert "grep -E '^python3 .*pytest -n auto$' README.md" in runner
    assert os.access(ROOT / ".ci/run", os.X_OK)
    workflow = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    assert "$(.ci/readme-line 'lastref verify')" in workflow
    assert "run: .ci/run" in workflow


def test_every_link_of_the_documents_leads_somewhere() -> None:
    """A relative link in a document at the top names a file that is there."""
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / name).read_text(encoding="utf-8"))
        assert [link for link in links if not (ROOT / link).exists()] == []
