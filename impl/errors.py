"""Every way an operation on a process can end, as one exception class per concept.

`kind` is the short outcome name under which the designs are compared:

    EPD, REL, UNINIT, UNSUP      the errors that `os.Process` makes itself
    EBADF, EINVAL, ...           a bare errno, handed through unwrapped
    waitid:ECHILD, wait:ECHILD   an errno wrapped with the call's name
    CloseHandle:INVALID_HANDLE   a Win32 error wrapped with the call's name
    EWINDOWS                     a signal that Windows does not have
    panic:<text>                 the design found its own word impossible

Two more families are not outcomes of a design. A `Refusal` is this package declining to do
something; it always has a fault, a reason and a remedy.

Source: the error values of Go's os package (commit beaf7f3282, os/exec.go and os/exec_unix.go).
"""

# ruff: noqa: D102 -- `kind` is described once; the names are the concepts' own

from __future__ import annotations

import errno as _errno
import os
from collections.abc import Callable


def errno_name(number: int) -> str:
    """Return the symbolic name of an errno, or `errno <n>` for one this platform does not name."""
    return _errno.errorcode.get(number, f"errno {number}")


class ProcessError(Exception):
    """An operation on a process that a design ended with an error."""

    @property
    def kind(self) -> str:
        """The outcome name (see the module's docstring)."""
        raise NotImplementedError


class ProcessDone(ProcessError):
    """The process was already waited for, or was not there to begin with (Go: ErrProcessDone)."""

    kind = "EPD"

    def __init__(self) -> None:
        super().__init__("os: process already finished")


class AlreadyReleased(ProcessError):
    """The caller released this process and then used it."""

    kind = "REL"

    def __init__(self) -> None:
        super().__init__("os: process already released")


class NotInitialized(ProcessError):
    """A process whose pid is 0: the zero value, never filled in."""

    kind = "UNINIT"

    def __init__(self) -> None:
        super().__init__("os: process not initialized")


class UnsupportedSignal(ProcessError):
    """The argument to signal is no signal of this operating system."""

    kind = "UNSUP"

    def __init__(self) -> None:
        super().__init__("os: unsupported signal type")


class NoHandle(ProcessError):
    """The caller asked for the handle of a process that is addressed by its pid (Go 1.26)."""

    kind = "ErrNoHandle"

    def __init__(self) -> None:
        super().__init__("process handle unavailable")


class Errno(ProcessError):
    """A bare errno, as the system returned it and the design passed it on unwrapped."""

    def __init__(self, errno: int) -> None:
        super().__init__(os.strerror(errno))
        self.errno = errno

    @property
    def kind(self) -> str:
        return errno_name(self.errno)


class InvalidArgument(Errno):
    """EINVAL made by the design itself: waiting on a released process."""

    def __init__(self) -> None:
        super().__init__(_errno.EINVAL)


class SyscallError(ProcessError):
    """An errno together with the name of the call that failed (Go: os.SyscallError)."""

    def __init__(self, call: str, errno: int) -> None:
        super().__init__(f"{call}: {os.strerror(errno)}")
        self.call = call
        self.errno = errno

    @property
    def kind(self) -> str:
        return f"{self.call}:{errno_name(self.errno)}"


WIN32_NAMES = {
    5: "ACCESS_DENIED",
    6: "INVALID_HANDLE",
    87: "INVALID_PARAMETER",
    1359: "INTERNAL_ERROR",
}
"""The Win32 errors that the designs can meet, without their ERROR_ (winerror.h)."""


class Win32Error(ProcessError):
    """A Win32 error together with the name of the call that failed."""

    def __init__(self, call: str, code: int) -> None:
        super().__init__(f"{call}: Win32 error {code}")
        self.call = call
        self.code = code

    @property
    def kind(self) -> str:
        return f"{self.call}:{WIN32_NAMES.get(self.code, f'error {self.code}')}"


class NotSupportedByWindows(ProcessError):
    """A signal other than Kill, which is the only one that Windows can do (Go: EWINDOWS)."""

    kind = "EWINDOWS"

    def __init__(self) -> None:
        super().__init__("not supported by windows")


class StartError(SyscallError):
    """A process that could not be started (Go: PathError{"fork/exec", path, errno})."""

    def __init__(self, path: str, errno: int) -> None:
        super().__init__("fork/exec", errno)
        self.path = path


class Panic(Exception):
    """The design reached a state it holds to be impossible and stops the program.

    Deliberately no `ProcessError`: a caller who handles errors must not swallow it.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    @property
    def kind(self) -> str:
        return f"panic:{self.text}"


class Refusal(Exception):
    """This package declines: `fault` is what was asked; `reason`, why not; `remedy`, what helps."""

    def __init__(self, fault: str, reason: str, remedy: str) -> None:
        super().__init__(f"{fault}: {reason}; {remedy}")
        self.fault = fault
        self.reason = reason
        self.remedy = remedy


class GuardRefused(Refusal):
    """A signal that could have reached a process which is not ours."""


class BackendUnavailable(Refusal):
    """An atomic backend that this machine or this Python cannot offer."""


class PlatformUnsupported(Refusal):
    """A part of the package that does not exist for this operating system or architecture."""


def outcome(operation: Callable[[], object]) -> str:
    """Run `operation` and name how it ended.

    "nil" when it returned None, "ok" when it returned a value, else the error's kind. Only errors
    of a design are outcomes: a `Refusal` or a programming error propagates.
    """
    try:
        result = operation()
    except (ProcessError, Panic) as error:
        return error.kind
    return "nil" if result is None else "ok"
