"""Process 1 of the sandbox: it runs what it is asked to, and clears up after each call.

    message from outside            answer
    ("call", target, args, kwargs)  any number of ("event", value), then one of
                                    ("returned", value, strays)
                                    ("raised", error, strays)

A target is a function by its module and name; where the module can't be imported by name, such as
a test's, it is loaded from its file. Values travel pickled: both ends run the same code, and no
testee ever holds the connection.

After each call every process left over is killed and reaped, so no call sees another's.
"""

from __future__ import annotations

import os
import pickle
import pkgutil
import sys
import traceback
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any, NamedTuple, cast

from lastref.conformance.errors import UserError, complaint_of
from lastref.impl.errors import Errno
from lastref.impl.guard import Guard

_MAIN = "__sandboxed_main__"


class Target(NamedTuple):
    """A function, such that another interpreter can find it."""

    module: str
    name: str
    file: str | None

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Target:
        """Describe ``function``; ValueError for a lambda or an inner function."""
        if "<" in function.__qualname__:
            raise ValueError(f"{function.__qualname__} has no name that can be imported")
        module = sys.modules[function.__module__]
        spec = getattr(module, "__spec__", None)  # of a program run with -m it has the real name
        name = function.__module__ if spec is None else spec.name
        return cls(name, function.__qualname__, getattr(module, "__file__", None))

    def resolve(self) -> Callable[..., Any]:
        """Return the function, importing its module."""
        # Under its own name a main program would start a second time.
        module = _MAIN if self.module == "__main__" else self.module
        try:
            found = pkgutil.resolve_name(f"{module}:{self.name}")
        except ModuleNotFoundError as error:
            # Only its own absence: a module that fails on another's is not to be tried twice.
            if self.file is None or error.name is None or not module.startswith(error.name):
                raise
            _load(module, self.file)
            found = pkgutil.resolve_name(f"{module}:{self.name}")
        return cast("Callable[..., Any]", found)


class Stray(NamedTuple):
    """A process that a call left behind: its pid, its command name, its state letter."""

    pid: int
    command: str
    state: str


class RemoteError(Exception):
    """An exception inside the sandbox that could not be carried over; its traceback as text."""


_outside: Connection | None = None


def emit(value: object) -> None:
    """Send ``value`` to the ``on_event`` of the call that is running; RuntimeError outside."""
    if _outside is None:
        raise RuntimeError("emit() works only inside a sandbox")
    _outside.send(("event", value))


def serve(connection: Connection) -> int:
    """Answer calls until the other end goes away; return the exit status."""
    global _outside
    _outside = connection
    guard = Guard()
    guard.enter_private_namespace()
    while True:
        try:
            _, target, arguments, keywords = connection.recv()
        except (EOFError, ConnectionError):
            return 0
        except Exception as error:
            # The message has come whole; what it names cannot be found or made here.
            connection.send(("raised", _portable(error), ()))
            continue
        connection.send(_answer(guard, target, arguments, keywords))


def _answer(
    guard: Guard, target: Target, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[str, Any, tuple[Stray, ...]]:
    try:
        kind, value = "returned", target.resolve()(*arguments, **keywords)
        pickle.dumps(value)
    except Exception as error:
        kind, value = "raised", _portable(error)
    return kind, value, sweep(guard)


def sweep(guard: Guard) -> tuple[Stray, ...]:
    """Kill and reap every process but this one; return those that were there.

    Orphans become children of process 1, so "no child left" means "nobody left".
    """
    strays = tuple(_others())
    while True:
        try:
            guard.kill(-1, 9)
        except Errno as error:
            if error.kind != "ESRCH":
                raise
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return strays


def _others() -> list[Stray]:
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stat:
                text = stat.read()
        except OSError:
            continue
        command, _, rest = text.partition("(")[2].rpartition(")")
        found.append(Stray(int(entry), command, rest.split()[0]))
    return found


def _load(name: str, file: str) -> None:
    loader = SourceFileLoader(name, file)
    module = ModuleType(name)
    module.__file__ = file
    sys.modules[name] = module
    loader.exec_module(module)


def _portable(error: Exception) -> Exception:
    """Return ``error`` as something that survives the pipe, its traceback as a note on it."""
    text = "inside the sandbox:\n" + "".join(traceback.format_exception(error)).rstrip()
    complaint = complaint_of(error)
    try:
        same = pickle.loads(pickle.dumps(error))
        if isinstance(same, type(error)):
            error.add_note(text)
            return error
    except Exception:
        # Anything can go wrong in a foreign __reduce__; the text below loses nothing but the type.
        pass
    if complaint is not None:
        return _Carried(*complaint, getattr(error, "exit_code", 2))
    return RemoteError(text)


class _Carried(UserError):
    """A UserError that can be pickled: the original's parts, not its one line."""

    def __reduce__(self) -> tuple[Any, ...]:
        return UserError, (self.fault, self.reason, self.remedy, self.exit_code)
