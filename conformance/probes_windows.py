"""The doctor's questions to Windows: real processes and handles, and whether it is Wine.

Each does the thing once on a suspended process of its own, which it ends. The statistic of handle
reuse is told and not judged: Windows promises no order in which values come back, only that a
closed value may mean anything later.
"""

from __future__ import annotations

from lastref.conformance.stage_windows import WindowsStage
from lastref.impl import windows_api
from lastref.impl.errors import PlatformUnsupported, Win32Error
from lastref.impl.windows_api import STILL_ACTIVE, WAIT_TIMEOUT

_ACCESS_DENIED = 5
ROUNDS = 200


def processes() -> str:
    """Find a process by its pid, see it run, end it through a duplicate, see it ended."""
    windows_api.function("OpenProcess")  # says so where there is none
    with WindowsStage() as stage:
        child, system = stage.new_process(), stage.system
        handle = system.open_process(child.pid)
        running = (
            windows_api.wait_for_single_object(handle, 0),
            system.get_exit_code_process(handle),
        )
        right = _right_to_terminate(stage, handle)
        copy = system.duplicate_handle(handle)
        system.terminate_process(copy, 1)
        ended = system.wait_for_single_object(handle), system.get_exit_code_process(handle)
        for used in (copy, handle):
            system.close_handle(used)
    if (running, right, ended) != ((WAIT_TIMEOUT, STILL_ACTIVE), False, (0, 1)):
        raise OSError(f"a process was {running}, then {ended}; terminated by itself: {right}")
    return "found one, and ended it through a duplicate of its handle"


def _right_to_terminate(stage: WindowsStage, handle: int) -> bool:
    """Return whether a handle from FindProcess may terminate; it must not."""
    try:
        stage.system.terminate_process(handle, 1)
    except Win32Error as error:
        if error.code == _ACCESS_DENIED:
            return False
        raise
    return True


def handle_reuse() -> str:
    """Say how often the value of a handle just closed is the next one handed out."""
    windows_api.function("CloseHandle")
    job = windows_api.create_job()
    same = reused_values(job)
    windows_api.close_handle(job)
    return f"{same} of {ROUNDS} closed values were the next ones handed out"


def reused_values(handle: int) -> int:
    """Count in how many of `ROUNDS` a copy of the handle has the value of the one just closed."""
    same = 0
    for _ in range(ROUNDS):
        value = windows_api.duplicate_handle(handle)
        windows_api.close_handle(value)
        again = windows_api.duplicate_handle(handle)
        same += again == value
        windows_api.close_handle(again)
    return same


def native() -> str:
    """Tell Windows from Wine, by the function that only Wine has."""
    windows_api.function("CloseHandle")
    version = windows_api.wine_version()
    if version is not None:
        raise PlatformUnsupported(
            "Windows itself", f"this is Wine {version}", "run it on Windows for the strict checks"
        )
    return "this is Windows, not Wine"
