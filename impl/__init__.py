"""The second, independent writing-down of the handle designs, on the real operating system.

Nothing in this package knows the model. A design here is ordinary code that reads and writes its
shared word through an `AtomicWord` and reaches the kernel through a `ProcessSystem`; both are given
to it, so that a scheduler can stand before every shared access (see `lastref.impl.seam`).

    word.py     the 64-bit status/refcount word and its three operations
    process.py  go-2024: start, find, wait, signal, kill, release
    history/    the designs before and after it, one short file each

Importing any module of this package works on every platform; a part that the machine lacks says so
when it is asked for, with a fault, a reason and a remedy.
"""
