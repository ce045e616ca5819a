"""The command line, ``lastref``: one file per command, registered in :mod:`.app`."""
