"""The adapters: each a small program that speaks the protocol for one implementation.

serve, serve_async       the protocol's side of an adapter written in Python
minimal                  a complete adapter in one file, to copy from
lastref_process ...      one file per implementation
registry                 which there are, what each needs, and how it is started
toolchains               builds the ones that are not Python, in a cache folder

python -m lastref.conformance.adapters NAME
"""
