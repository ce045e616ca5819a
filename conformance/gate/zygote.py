"""The little process that victims are copied from: ``python -I -S zygote.py IN OUT``.

Copying the supervisor costs more than all else in a run, because it is large. This program is as
small as a Python program can be. It reads a pid on each line, starts a process under it by clone3
with ``set_tid`` and answers 0, or the errno. CLONE_PARENT makes the victim the supervisor's child.

It imports nothing of ours, and runs on its own; see `victims`.

Source: clone(2). struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack,
stack_size, tls, set_tid, set_tid_size; with CLONE_PARENT the exit signal must be 0, and is the
parent's own.
"""

import ctypes
import os
import sys

_CLONE3 = 435
_CLONE_PARENT, _CLONE_CLEAR_SIGHAND = 0x8000, 0x100000000
_PR_SET_PDEATHSIG, _PR_SET_NAME, _SIGKILL = 1, 15, 9


def main() -> None:
    """Answer requests until the supervisor goes away."""
    requests, answers = int(sys.argv[1]), int(sys.argv[2])
    library = ctypes.PyDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    library.syscall.argtypes = [ctypes.c_long, ctypes.c_void_p, ctypes.c_size_t]
    library.prctl.argtypes = [ctypes.c_int, ctypes.c_void_p]
    library.prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    wanted = (ctypes.c_int * 1)(0)
    arguments = (ctypes.c_uint64 * 10)(
        _CLONE_PARENT | _CLONE_CLEAR_SIGHAND, 0, 0, 0, 0, 0, 0, 0, ctypes.addressof(wanted), 1
    )
    while line := os.read(requests, 32):
        wanted[0] = int(line)
        result = library.syscall(_CLONE3, ctypes.addressof(arguments), 80)
        if result == 0:
            library.prctl(_PR_SET_PDEATHSIG, _SIGKILL)
            library.prctl(_PR_SET_NAME, b"victim")
            library.close_range(0, 0xFFFFFFFF, 0)
            while True:
                library.pause()
        os.write(answers, b"%d\n" % (0 if result > 0 else ctypes.get_errno()))


if __name__ == "__main__":
    main()
