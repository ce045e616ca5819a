"""Where Hypothesis keeps the examples that failed: here, or where other machines look as well.

``LASTREF_EXAMPLES`` names the place, and without it each checkout has its own, as ever:

    a folder                             one that is shared, or kept from run to run by a cache
    redis://HOST:PORT/N, rediss://…      a Redis server, through Hypothesis' own support of it
    unix:///PATH                         the same on this machine

An example is found by the source of its test and not by where that lies, so what one machine has
found fails on every other at the first try.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis.database import DirectoryBasedExampleDatabase, ExampleDatabase

VARIABLE = "LASTREF_EXAMPLES"
_SERVERS = ("redis", "rediss", "unix")


def database(where: str) -> ExampleDatabase:
    """Return the database at ``where``; pytest.UsageError if it cannot be used."""
    if urlsplit(where).scheme in _SERVERS:
        return _server(where)
    if "://" in where:
        raise _unusable(where, "it is no folder", f"an address begins with {_SERVERS[0]}://")
    folder = Path(where)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(where, error.strerror or str(error), "name another folder") from error
    return DirectoryBasedExampleDatabase(folder)


def _server(where: str) -> ExampleDatabase:
    try:
        from hypothesis.extra.redis import RedisExampleDatabase
        from redis import Redis, RedisError
    except ImportError as error:
        raise _unusable(where, "the package 'redis' is missing", "pip install redis") from error
    try:
        server = Redis.from_url(where)
        server.ping()
    except (RedisError, ValueError, OSError) as error:
        remedy = f"start the server, or unset {VARIABLE}"
        raise _unusable(where, str(error), remedy) from error
    return RedisExampleDatabase(server)


def _unusable(where: str, reason: str, remedy: str) -> pytest.UsageError:
    said = " ".join(f"the examples at '{where}' cannot be used: {reason}; {remedy}".split())
    return pytest.UsageError(f"{VARIABLE}: {said}")
