"""Without root: the gate works where user namespaces are allowed, and says so where not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_NOBODY = 65534
_NO_NAMESPACES = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'

Command = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the namespaces are Linux's")


def _started(
    argv: Sequence[str], packages: Path, user: int | None
) -> subprocess.CompletedProcess[str]:
    """Run Python with our packages and no traces, as another user or as this one."""
    found = f"{packages}:{sysconfig.get_path('purelib')}"
    environment = {**os.environ, "PYTHONPATH": found, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        argv,
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
    )


@pytest.fixture(scope="module")
def lastref() -> Iterator[Command]:
    """Return a function that runs a command of lastref's as an ordinary user; skip if none may.

    What stands ``before`` it is run by us, with the rights that we have.
    """
    user = _NOBODY if os.geteuid() == 0 else None
    names = (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}")
    with tempfile.TemporaryDirectory() as folder:
        packages = Path(folder)
        packages.chmod(0o755)
        (packages / "lastref").mkdir()
        for each in ("conformance", "impl", "model", "reports"):
            (packages / "lastref" / each).symlink_to(_ROOT / each)

        def may(python: str) -> bool:
            try:
                ask = [python, "-P", "-c", "import lastref.conformance.cli.app"]
                return _started(ask, packages, user).returncode == 0
            except OSError:
                return False

        python = next(filter(may, names), None)
        if python is None:
            pytest.skip("this Python, or the project, lies where no other user may read it")

        def run(*arguments: str, before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
            command = [*before, python, "-P", "-m", "lastref.conformance.cli", *arguments]
            return _started(command, packages, None if before else user)

        yield run


def test_an_ordinary_user_finds_what_root_finds(lastref: Command) -> None:
    """CPython's Popen is brought to kill the wrong process, and the least order is told."""
    ended = lastref("gate", "cpython-popen", "wait-kill")
    if ended.returncode == 3:
        assert ended.stderr.count("\n") == 1
        assert "user namespaces" in ended.stderr
        pytest.skip(ended.stderr.strip())
    assert ended.returncode == 1, ended.stderr
    assert "wrong process signalled by W1.K1.exit(a).W1.K1" in " ".join(ended.stdout.split())


def test_an_ordinary_user_may_check_an_implementation(lastref: Command) -> None:
    """The cases need no namespace, and nobody else's processes."""
    ended = lastref("check", "cpython-popen", "--case", "child/kill")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "check: pass (1 pass;" in ended.stdout


def test_where_no_namespace_is_allowed_one_line_says_so_and_what_would_help(
    lastref: Command,
) -> None:
    """Exit code 3 from the gate; of the cases those at the gate are skipped, with the reason."""
    tools = [shutil.which(name) for name in ("unshare", "setpriv", "sh")]
    unshare, setpriv, shell = (str(tool) for tool in tools)
    if None in tools:
        pytest.skip("taking the right away needs util-linux's unshare and setpriv")
    inside = [unshare, "--user", "--map-root-user"]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no user namespace is allowed here, so none can be closed")
    without = [*inside, shell, "-c", _NO_NAMESPACES, "sh"]
    without += [setpriv, "--bounding-set=-all", "--inh-caps=-all"]
    ended = lastref("gate", "cpython-popen", "wait-kill", before=without)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("lastref: no private PID namespace: ")
    assert "run as root, or allow user namespaces" in ended.stderr
    checked = lastref(
        "check",
        "cpython-popen",
        *("--case", "child/kill", "--case", "gate/go-13987", "--expect", "none"),
        before=without,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "check: pass (1 pass, 1 skipped;" in checked.stdout
    assert "skipped: cpython-popen: no gate here: " in " ".join(checked.stdout.split())
