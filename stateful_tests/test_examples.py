"""What one machine has found fails on another at once: by a shared folder, and by a Redis server.

A machine is a folder with a copy of the profiles and a test; the two know nothing of each other but
the place of the examples.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import examples
import pytest

pytestmark = pytest.mark.timeout(600)
"""Each starts several interpreters, one after another: a busy machine takes its time."""

HERE = Path(__file__).parent
TEST = """
import os

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

PHASES = [Phase.reuse] if os.environ["REMEMBER"] == "yes" else list(Phase)


@settings(phases=PHASES)
@given(st.integers(0, 2**32))
def test_small(number):
    assert number < 1000
"""


class Machine:
    """A folder with the profiles and the test."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        for name in ("conftest.py", "examples.py"):
            shutil.copy(HERE / name, folder / name)
        (folder / "test_small.py").write_text(TEST, encoding="utf-8")

    def run(
        self, where: str, *, profile: str = "dev", remember: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run the test with its examples at ``where``; ``remember`` tries those alone."""
        around = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        asked = {
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            examples.VARIABLE: where,
            "HYPOTHESIS_PROFILE": profile,
            "REMEMBER": "yes" if remember else "no",
        }
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q"],
            cwd=self._folder,
            env={**around, **asked},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machines(tmp_path: Path) -> tuple[Machine, Machine]:
    """Two machines."""
    return Machine(tmp_path / "one"), Machine(tmp_path / "other")


@pytest.fixture
def server() -> Iterator[str]:
    """A Redis server of our own, on a socket that nobody else knows; yield its address."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not on PATH: install Debian's package of that name")
    redis = pytest.importorskip("redis", reason="the package 'redis' is missing")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "socket")
        command = [program, "--port", "0", "--unixsocket", str(path), "--dir", folder]
        command += ["--save", "", "--appendonly", "no", "--daemonize", "no"]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                if "eady to accept connections" in line:
                    break
            else:
                pytest.fail(f"redis-server ended: {''.join(said)}")
            try:
                yield f"unix://{path}"
            finally:
                with redis.Redis.from_url(f"unix://{path}") as client:
                    client.shutdown(nosave=True)


def shares(machines: tuple[Machine, Machine], where: str, profile: str) -> None:
    """One machine finds an example; the other, which draws none itself, fails by it at once."""
    one, other = machines
    assert other.run(where, remember=True).returncode == 0, "there is nothing to remember yet"
    found = one.run(where, profile=profile)
    assert found.returncode == 1, found.stdout
    assert "number=1000" in found.stdout
    again = other.run(where, profile=profile, remember=True)
    assert again.returncode == 1, again.stdout
    assert "number=1000" in again.stdout


def test_machines_share_a_folder(machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    """A folder that both see is enough."""
    shares(machines, str(tmp_path / "shared" / "examples"), "dev")


def test_machines_share_a_redis_server(machines: tuple[Machine, Machine], server: str) -> None:
    """The examples go through a real server, in the profile of CI as well."""
    shares(machines, server, "ci")


def test_a_place_that_cannot_be_used_is_one_line(
    machines: tuple[Machine, Machine], tmp_path: Path
) -> None:
    """A server that is not there: no test runs, and the reason and the remedy are told."""
    pytest.importorskip("redis")
    if not hasattr(socket, "AF_UNIX"):
        pytest.skip("Python has no sockets in the file system on this machine")
    told = machines[0].run(f"unix://{tmp_path / 'nobody'}")
    assert told.returncode == 4
    (line,) = (line for line in told.stderr.splitlines() if line)
    assert "cannot be used" in line
    assert line.endswith("start the server, or unset LASTREF_EXAMPLES")


def test_a_place_of_another_kind_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither a folder nor Redis, a folder that cannot be made, a package that is missing."""
    with pytest.raises(pytest.UsageError, match="it is no folder; an address begins with redis://"):
        examples.database("http://example.org")
    (tmp_path / "file").write_text("")
    with pytest.raises(pytest.UsageError, match="name another folder"):
        examples.database(str(tmp_path / "file" / "folder"))
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(pytest.UsageError, match="pip install redis"):
        examples.database("redis://localhost")
