"""The times at which processes start, in ticks: by them some programs tell a recycled pid.

psutil and Java remember when a process was started, as /proc shows it, and compare before they send
a signal. The kernel shows it in hundredths of a second. One who gets a freed pid within the same
hundredth looks the same to them; whether that happens is a matter of the machine's load and says
nothing of an order of calls. So a pid is not given away in the tick in which its owner was started.

Source: proc_pid_stat(5), field 22; Process.is_running of psutil; ProcessHandleImpl_unix.c of the
JDK.
"""

from __future__ import annotations

import os
import time


def tick_of(pid: int) -> int:
    """Return the tick in which the process was started; FileNotFoundError if there is none."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
        return int(stat.read().rpartition(")")[2].split()[19])


def pass_tick(tick: int) -> None:
    """Return when ``tick`` is over: whoever starts then starts in another."""
    second = os.sysconf("SC_CLK_TCK")
    while (left := (tick + 1) / second - time.clock_gettime(time.CLOCK_BOOTTIME)) > 0:
        time.sleep(left)
