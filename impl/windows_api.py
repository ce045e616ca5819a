"""kernel32 through ctypes: every call with its full prototype and its own last error.

`use_last_error` keeps GetLastError per thread, safe from what the interpreter itself calls in
between; `WinDLL` releases the GIL, so that a blocked wait does not stop the other threads. Every
function makes one call; when it fails it raises `Win32Error` with the call's name and the code.

A handle is an int, as Windows gives it. The pseudo-handle -1 stands for the calling process; two
calls here pass it on purpose, as the source and the target of DuplicateHandle.

Source: Microsoft's documentation of processthreadsapi.h, handleapi.h and synchapi.h.
"""

from __future__ import annotations

import ctypes
import functools
import subprocess
import sys
from collections.abc import Sequence
from ctypes import wintypes
from typing import Any, NamedTuple

from lastref.impl.errors import PlatformUnsupported, Win32Error

CURRENT_PROCESS = -1
"""The pseudo-handle of the calling process; as a number also INVALID_HANDLE_VALUE."""

PROCESS_TERMINATE = 0x0001
PROCESS_QUERY_INFORMATION = 0x0400
PROCESS_QUERY_LIMITED_INFORMATION = 0x1000
STANDARD_RIGHTS_READ = 0x00020000
SYNCHRONIZE = 0x00100000

INFINITE = 0xFFFFFFFF
WAIT_OBJECT_0, WAIT_TIMEOUT, WAIT_FAILED = 0, 0x102, 0xFFFFFFFF
STILL_ACTIVE = 259

REFUSALS: list[str] = []
"""The command lines that Wine refused to start and was asked for again."""

_INTERNAL_ERROR = 1359  # ERROR_INTERNAL_ERROR: Wine's refusal, which Windows does not know
_CREATE_SUSPENDED = 0x00000004
_CREATE_NO_WINDOW = 0x08000000
_DUPLICATE_SAME_ACCESS = 0x00000002
_TICKS_PER_SECOND = 10_000_000  # a FILETIME counts 100 ns


class _StartupInfo(ctypes.Structure):
    _fields_ = [
        ("cb", wintypes.DWORD),
        ("reserved", wintypes.LPWSTR),
        ("desktop", wintypes.LPWSTR),
        ("title", wintypes.LPWSTR),
        ("position_and_size", wintypes.DWORD * 7),
        ("flags", wintypes.DWORD),
        ("show_window", wintypes.WORD),
        ("reserved2_size", wintypes.WORD),
        ("reserved2", ctypes.c_void_p),
        ("std_handles", wintypes.HANDLE * 3),
    ]


class _ProcessInformation(ctypes.Structure):
    _fields_ = [
        ("process", wintypes.HANDLE),
        ("thread", wintypes.HANDLE),
        ("process_id", wintypes.DWORD),
        ("thread_id", wintypes.DWORD),
    ]


class _FileTime(ctypes.Structure):
    _fields_ = [("low", wintypes.DWORD), ("high", wintypes.DWORD)]

    low: int
    high: int

    def seconds(self) -> float:
        return (self.high << 32 | self.low) / _TICKS_PER_SECOND


class Started(NamedTuple):
    """A process just created: its pid, its handle, and its first thread's (both ours to close)."""

    pid: int
    process: int
    thread: int


class ProcessTimes(NamedTuple):
    """When a process began and ended, in seconds since 1601, and its processor time in seconds."""

    created: float
    exited: float
    kernel: float
    user: float


# name -> the result's type and the parameters' types
_PROTOTYPES: dict[str, tuple[Any, list[Any]]] = {
    "CreateProcessW": (
        wintypes.BOOL,
        [
            wintypes.LPCWSTR,
            wintypes.LPWSTR,
            ctypes.c_void_p,
            ctypes.c_void_p,
            wintypes.BOOL,
            wintypes.DWORD,
            ctypes.c_void_p,
            wintypes.LPCWSTR,
            ctypes.POINTER(_StartupInfo),
            ctypes.POINTER(_ProcessInformation),
        ],
    ),
    "OpenProcess": (wintypes.HANDLE, [wintypes.DWORD, wintypes.BOOL, wintypes.DWORD]),
    "WaitForSingleObject": (wintypes.DWORD, [wintypes.HANDLE, wintypes.DWORD]),
    "GetExitCodeProcess": (wintypes.BOOL, [wintypes.HANDLE, wintypes.LPDWORD]),
    "GetProcessTimes": (wintypes.BOOL, [wintypes.HANDLE, *[ctypes.POINTER(_FileTime)] * 4]),
    "GetProcessId": (wintypes.DWORD, [wintypes.HANDLE]),
    "DuplicateHandle": (
        wintypes.BOOL,
        [
            wintypes.HANDLE,
            wintypes.HANDLE,
            wintypes.HANDLE,
            wintypes.LPHANDLE,
            wintypes.DWORD,
            wintypes.BOOL,
            wintypes.DWORD,
        ],
    ),
    "TerminateProcess": (wintypes.BOOL, [wintypes.HANDLE, wintypes.UINT]),
    "CloseHandle": (wintypes.BOOL, [wintypes.HANDLE]),
    "CreateJobObjectW": (wintypes.HANDLE, [ctypes.c_void_p, wintypes.LPCWSTR]),
    "SetInformationJobObject": (
        wintypes.BOOL,
        [wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD],
    ),
    "AssignProcessToJobObject": (wintypes.BOOL, [wintypes.HANDLE, wintypes.HANDLE]),
}


@functools.cache
def function(name: str) -> Any:
    """Return the function of kernel32; PlatformUnsupported where there is none."""
    found = _kernel32()[name]
    found.restype, found.argtypes = _PROTOTYPES[name]
    return found


@functools.cache
def _kernel32() -> Any:
    loader = vars(ctypes).get("WinDLL")
    if loader is None:
        raise PlatformUnsupported(
            "the Win32 process calls",
            "this operating system has no kernel32",
            "run it on Windows, or under Wine with .ci/windows-lane",
        )
    return loader("kernel32", use_last_error=True)


@functools.cache
def wine_version() -> str | None:
    """Return the version of Wine, or None on Windows itself. Wine differs here and there."""
    ntdll = vars(ctypes)["WinDLL"]("ntdll")
    if not hasattr(ntdll, "wine_get_version"):
        return None
    ntdll.wine_get_version.restype = ctypes.c_char_p
    return str(ntdll.wine_get_version().decode())


def last_error(name: str) -> Win32Error:
    """Return this thread's last error, of the call `name`."""
    return Win32Error(name, int(vars(ctypes)["get_last_error"]()))


def _checked(name: str, *arguments: object) -> int:
    """Call a function whose result 0 means failure, and return the result."""
    result = function(name)(*arguments)
    if not result:
        raise last_error(name)
    return int(result)


def create_process(argv: Sequence[str], *, suspended: bool = False) -> Started:
    """Start a program; a suspended one has not run an instruction yet.

    Wine refuses once in a while, for no reason; then it is asked once more, and that is counted in
    `REFUSALS`.
    """
    try:
        return _create_process(argv, suspended)
    except Win32Error as error:
        if error.code != _INTERNAL_ERROR or wine_version() is None:
            raise
    REFUSALS.append(subprocess.list2cmdline(argv))
    sys.audit("lastref.wine_refused", REFUSALS[-1])
    return _create_process(argv, suspended)


def _create_process(argv: Sequence[str], suspended: bool) -> Started:
    startup = _StartupInfo(cb=ctypes.sizeof(_StartupInfo))
    information = _ProcessInformation()
    command_line = ctypes.create_unicode_buffer(subprocess.list2cmdline(argv))
    flags = _CREATE_NO_WINDOW | (_CREATE_SUSPENDED if suspended else 0)
    _checked(
        "CreateProcessW",
        None,
        command_line,
        None,
        None,
        False,
        flags,
        None,
        None,
        ctypes.byref(startup),
        ctypes.byref(information),
    )
    return Started(information.process_id, information.process, information.thread)


def open_process(access: int, pid: int) -> int:
    """Return a new handle with the rights `access`: error 87 if there is no such process."""
    return _checked("OpenProcess", access, False, pid & 0xFFFFFFFF)


def wait_for_single_object(handle: int, milliseconds: int = INFINITE) -> int:
    """Wait until the process has ended; return WAIT_OBJECT_0 or WAIT_TIMEOUT, or Win32Error."""
    result = int(function("WaitForSingleObject")(handle, milliseconds))
    if result == WAIT_FAILED:
        raise last_error("WaitForSingleObject")
    return result


def get_exit_code_process(handle: int) -> int:
    """Return the exit code, STILL_ACTIVE while the process runs."""
    code = wintypes.DWORD()
    _checked("GetExitCodeProcess", handle, ctypes.byref(code))
    return code.value


def get_process_times(handle: int) -> ProcessTimes:
    """Return when the process began and ended and how long it ran."""
    times = [_FileTime() for _ in ProcessTimes._fields]
    _checked("GetProcessTimes", handle, *map(ctypes.byref, times))
    return ProcessTimes(*(time.seconds() for time in times))


def get_process_id(handle: int) -> int:
    """Return the pid of the process that the handle refers to."""
    return _checked("GetProcessId", handle)


def duplicate_handle(handle: int, access: int | None = None) -> int:
    """Return another handle to the same object, with the rights `access` (None: the same ones).

    Raises Win32Error if there is no such handle.
    """
    copy = wintypes.HANDLE()
    _checked(
        "DuplicateHandle",
        CURRENT_PROCESS,
        handle,
        CURRENT_PROCESS,
        ctypes.byref(copy),
        access or 0,
        False,
        _DUPLICATE_SAME_ACCESS if access is None else 0,
    )
    if copy.value is None:
        raise Win32Error("DuplicateHandle", 6)
    return copy.value


def close_handle(handle: int) -> None:
    """Close a handle: error 6 if it is not open."""
    _checked("CloseHandle", handle)


def create_job() -> int:
    """Return a handle of a new job object without a name."""
    return _checked("CreateJobObjectW", None, None)


def set_job_information(job: int, kind: int, address: int, size: int) -> None:
    """Set one kind of information of a job."""
    _checked("SetInformationJobObject", job, kind, address, size)


def assign_process_to_job(job: int, process: int) -> None:
    """Put a process into a job."""
    _checked("AssignProcessToJobObject", job, process)
