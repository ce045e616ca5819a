"""The gate: programs nobody here wrote, held and let go at the system call boundary.

    numbers     which call has which number, on the two architectures that are known
    filter      which calls are held and which are refused, as a seccomp program
    listener    what the kernel says about a held call, and the answers it takes
    launch      a program started behind such a filter
    rest        when nothing moves any more
    returns     the value a let-go call returned, by ptrace
    lines       Python's own code, held before chosen lines
    scenario    which operations run on which threads, and who may recycle what
    testee      an adapter behind the gate, and what it says
    gate        one order of the steps, carried out
    adversary   pids and handle numbers given to victims in every gap
    explore     all orders, shortest first, each once
    shrink      the least schedule that still fails
    record      a failure as one portable file

All of it runs inside a sandbox, as process 1 there; `run` is the way in from outside.
"""
