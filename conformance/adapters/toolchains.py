"""Builds adapters that are not Python, and fetches what is installed from a package index.

All of it goes to a cache folder, never into the project or the environment:

    $XDG_CACHE_HOME/lastref  or  ~/.cache/lastref
      built/NAME-DIGEST      a program; the digest is of the sources, the command and the toolchain
      packages/REQUIREMENT   a package, installed there by pip when it is asked for

Nothing is fetched unless that is asked for by name (``lastref adapters --install NAME``).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lastref.conformance.errors import UserError

UNABLE = 3
HERE = Path(__file__).resolve().parent


def cache() -> Path:
    """Return the cache folder; it may not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "lastref"


def missing(what: str, reason: str, remedy: str) -> UserError:
    """Return the refusal for a toolchain that this machine lacks."""
    return UserError(f"{what} cannot run here", reason, remedy, UNABLE)


def tool(program: str, what: str, remedy: str) -> str:
    """Return the path of ``program``; the refusal if it is not on PATH."""
    found = shutil.which(program)
    if found is None:
        raise missing(what, f"'{program}' was not found on PATH", remedy)
    return found


@functools.cache
def said_by(argv: tuple[str, ...]) -> str:
    """Return what a program prints, first stdout, then stderr; a failure is the refusal."""
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise missing(f"'{argv[0]}'", str(error), "mend the toolchain") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        reason = said[-1] if said else f"it exits with {done.returncode}"
        raise missing(f"'{' '.join(argv)}'", reason, "mend the toolchain")
    return (done.stdout + done.stderr).strip()


def built(
    name: str,
    sources: Sequence[str],
    command: Sequence[str],
    version: str,
    environment: Mapping[str, str] | None = None,
) -> Path:
    """Return the program that ``command`` builds, building it if no build of the same is there.

    In ``command`` the word OUT stands for the program to write; the sources, files beside this
    one, follow by their names.  A compiler that fails is reported with its first line.
    """
    paths = [HERE / source for source in sources]
    digest = hashlib.sha256(repr((list(command), version)).encode())
    for path in paths:
        digest.update(path.read_bytes())
    target = cache() / "built" / f"{name}-{digest.hexdigest()[:16]}"
    if target.exists():
        return target
    with _beside(target, f"the adapter '{name}'") as out:
        # The source is what its name's end says; headers are found beside it.
        argv = [str(out) if word == "OUT" else word for word in command]
        compiled = [str(path) for path in paths if path.suffix != ".h"]
        done = subprocess.run(
            [*argv, *compiled],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **(environment or {})},
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()
            reason = said[0] if said else f"it exits with {done.returncode}"
            raise missing(f"the adapter '{name}'", f"{command[0]}: {reason}", "mend the toolchain")
    return target


@contextlib.contextmanager
def _beside(target: Path, what: str) -> Iterator[Path]:
    """Yield a path that becomes ``target`` at the end, whole and at once.

    Where another was faster its own stays. Raises the refusal where the cache cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=target.parent)
    except OSError as error:
        raise missing(
            what,
            f"'{target.parent}' cannot be written: {error.strerror or error}",
            "let XDG_CACHE_HOME name a folder that can be",
        ) from error
    with folder as name:
        out = Path(name) / "out"
        yield out
        try:
            out.rename(target)
        except OSError:
            if not target.exists():  # else it is a folder, and another made it meanwhile
                raise


def package(requirement: str) -> Path | None:
    """Return the folder that ``requirement`` was installed in, None if it was not."""
    folder = cache() / "packages" / requirement
    return folder if folder.is_dir() else None


def install(requirement: str) -> Path:
    """Install ``requirement`` into the cache with pip, from the index that pip is set up for."""
    folder = cache() / "packages" / requirement
    if folder.is_dir():
        return folder
    with _beside(folder, f"'{requirement}'") as target:
        options = ["--quiet", "--no-deps", "--disable-pip-version-check", "--target", str(target)]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", *options, requirement],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = done.stderr.strip().splitlines()
            raise missing(
                f"'{requirement}'",
                f"pip: {said[-1] if said else 'it failed'}",
                "check that pip and its package index can be reached",
            )
    return folder
