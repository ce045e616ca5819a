"""The reference model: designs of a process handle as tables of guarded commands.

Read :mod:`~lastref.model.word` first, then :mod:`~lastref.model.designs.go_2024`.  Nothing here
imports anything of ours outside this package, nor anything beyond the standard library except the
prover (z3).
"""
