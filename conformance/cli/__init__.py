"""The command line, ``lastref``: one file per command, registered in :mod:`.app`."""

from lastref.conformance.cli.app import main

__all__ = ["main"]
