"""A job object: processes that end with us, even if we are killed half-way.

A process whose handle is closed goes on living, and a suspended one would do so for ever. A job
with KILL_ON_JOB_CLOSE ends its processes when its last handle is closed, which Windows does for a
program that ends in whatever way.

Source: Microsoft's documentation of jobapi2.h, JOBOBJECT_EXTENDED_LIMIT_INFORMATION in winnt.h.
"""

from __future__ import annotations

import ctypes
from ctypes import wintypes

from lastref.impl import windows_api

_EXTENDED_LIMIT_INFORMATION = 9
_LIMIT_KILL_ON_JOB_CLOSE = 0x2000


class _BasicLimits(ctypes.Structure):
    _fields_ = [
        ("process_time", ctypes.c_int64),
        ("job_time", ctypes.c_int64),
        ("flags", wintypes.DWORD),
        ("minimum_working_set", ctypes.c_size_t),
        ("maximum_working_set", ctypes.c_size_t),
        ("active_processes", wintypes.DWORD),
        ("affinity", ctypes.c_size_t),
        ("priority_class", wintypes.DWORD),
        ("scheduling_class", wintypes.DWORD),
    ]


class _ExtendedLimits(ctypes.Structure):
    _fields_ = [
        ("basic", _BasicLimits),
        ("io_counters", ctypes.c_uint64 * 6),
        ("process_memory", ctypes.c_size_t),
        ("job_memory", ctypes.c_size_t),
        ("peak_process_memory", ctypes.c_size_t),
        ("peak_job_memory", ctypes.c_size_t),
    ]


class Job:
    """A set of processes that end when it is closed, or when this program ends."""

    def __init__(self) -> None:
        self.handle = windows_api.create_job()
        limits = _ExtendedLimits(basic=_BasicLimits(flags=_LIMIT_KILL_ON_JOB_CLOSE))
        windows_api.set_job_information(
            self.handle,
            _EXTENDED_LIMIT_INFORMATION,
            ctypes.addressof(limits),
            ctypes.sizeof(limits),
        )

    def add(self, process: int) -> None:
        """Put the process of a handle into the job, for good."""
        windows_api.assign_process_to_job(self.handle, process)

    def close(self) -> None:
        """End every process of the job that still runs."""
        windows_api.close_handle(self.handle)
