"""The designs before and after go-2024, each a short file of its own with the conventions of all.

    start(argv, parts)     start a program
    find(pid, parts)       look a process up
    literal(pid, parts)    a process value made by hand with only its pid
    adopt(child, parts)    a child already started
    wait, signal, kill, release

Their mistakes are kept on purpose: each docstring says which.
"""
