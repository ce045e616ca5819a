"""Exercise 4: a Wait that sets the flag before it reaps, and does not wait for who missed it.

A plain pid, a done flag, a lock.  Kill looks at the flag and kills under the read lock.  Wait waits
for the exit and leaves the zombie, sets the flag, and reaps.  The flag is set before the pid is
free, so what can go wrong?  Find out, and mend it: the lock is there, and Wait does not use it.

    lastref verify --design docs/lessons/exercises/wait_and_kill.py
"""

from lastref.model.algebra import BOOL
from lastref.model.kernel import NO_WRONG_PROCESS, bystander, exited, kin, reaped
from lastref.model.table import END, Law, Must, Table, command, kernel_command, shared

OURS, FREE, STRANGER = 0, 1, 2
owner = shared("owner", 2, "whose process the pid names", labels=("ours", "free", "stranger"))
isdone = shared("isdone", BOOL, "the flag: a Wait has seen the process end")
readers = shared("readers", 64, "signallers that hold the lock for reading")
writer = shared("writer", BOOL, "a Wait holds the lock for writing")

RIGHT_PROCESS = (Must(NO_WRONG_PROCESS, owner != STRANGER),)

KILL = (
    command("kill.rlock", "rlock", "kill.rlock", "kill.flag", ~writer, {readers: readers + 1}),
    command("kill.flag.done", "load_flag", "kill.flag", "kill.runlock", isdone, None, "EPD"),
    command("kill.flag", "load_flag", "kill.flag", "kill.send", ~isdone),
    command("kill.send", "kill", "kill.send", "kill.runlock", owner == OURS, {exited: 1}, "nil"),
    command("kill.send.free", "kill", "kill.send", "kill.runlock", owner == FREE, None, "EPD"),
    command(
        "kill.send.stranger",
        "kill",
        "kill.send",
        "kill.runlock",
        owner == STRANGER,
        {bystander: 1},
        "nil",
        RIGHT_PROCESS,
    ),
    command("kill.runlock", "runlock", "kill.runlock", END, update={readers: readers - 1}),
)
WAIT = (
    command("wait.waitid", "waitid", "wait.waitid", "wait.mark", exited),
    command("wait.mark", "store_flag", "wait.mark", "wait.reap", update={isdone: 1}),
    command("wait.reap", "wait4", "wait.reap", END, ~reaped, {reaped: 1, owner: FREE}, "ok"),
    command("wait.reap.no-child", "wait4", "wait.reap", END, reaped, None, "wait:ECHILD"),
)

TABLE = Table(
    id="exercise-wait-kill",
    platform="linux-pid",
    title="the flag is set before the reaping",
    source="after Go commit cea29c4a35 (2016)",
    shared=(kin, exited, reaped, bystander, owner, isdone, readers, writer),
    local=(),
    methods={"wait": "wait.waitid", "kill": "kill.rlock"},
    commands=(*WAIT, *KILL),
    kernel=(
        kernel_command("exit", ~exited, {exited: 1}),
        kernel_command("recycle", owner == FREE, {owner: STRANGER}),
    ),
    laws=(
        Law(NO_WRONG_PROCESS, "must", "nobody is signalled whom the caller did not name"),
        Law("sometimes-recycled", "sometimes", "the pid comes back", owner == STRANGER),
        Law(
            "sometimes-refused",
            "sometimes",
            "a kill comes late",
            shown_by=frozenset({"kill.flag.done"}),
        ),
    ),
    blocking=frozenset({"wait.waitid", "kill.rlock"}),  # where a thread may have to wait
)
THREADS = (("wait", "kill"), ("wait", "kill", "kill"))
