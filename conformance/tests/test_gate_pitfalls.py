"""Every pitfall of holding a foreign program's system calls has a law here, named for it."""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastref.conformance.adapters import minimal, registry
from lastref.conformance.errors import UserError
from lastref.conformance.gate import returns
from lastref.conformance.gate.filter import LINE, Refusal, program
from lastref.conformance.gate.launch import Launched, launch
from lastref.conformance.gate.lines import wrapped
from lastref.conformance.gate.listener import Notification
from lastref.conformance.gate.numbers import RUN, machine, machine_named
from lastref.conformance.gate.scenario import Scenario
from lastref.conformance.gate.session import Session
from lastref.conformance.gate.testee import Program, Testee, idle_argv
from lastref.conformance.gate.victims import Victims
from lastref.conformance.sandbox import Recycler, Sandbox, unavailable
from lastref.impl.errors import PlatformUnsupported
from lastref.impl.guard import Guard

_REASON = unavailable()
pytestmark = pytest.mark.skipif(_REASON is not None, reason=str(_REASON))

_SECONDS = 100  # a bound on a hang, not a measurement
_POPEN = (sys.executable, "-S", "-E", str(Path(minimal.__file__)))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """One sandbox for all: each call starts with nobody else in it."""
    with Sandbox() as box:
        yield box


def guard() -> Guard:
    """Return a guard for everyone inside."""
    made = Guard()
    made.enter_private_namespace()
    return made


class Script:
    """A Python text behind a filter; `held` waits for its next held call."""

    def __init__(self, text: str, calls: set[str], *refused: str, handle: int | None = None):
        filtered = program(machine(), calls, [Refusal.parse(r) for r in refused], handle)
        self.run: Launched = launch([sys.executable, "-S", "-E", "-c", text], filtered)
        self.listener = self.run.listener

    def held(self) -> Notification:
        """Return the next held call; a hang fails."""
        assert select.select([self.listener.fd], [], [], _SECONDS)[0]
        notification = self.listener.receive()
        assert notification is not None
        return notification

    def said(self) -> str:
        """Return the next line that it prints."""
        assert select.select([self.run.output], [], [], _SECONDS)[0]
        return os.read(self.run.output, 4096).decode().strip()

    def end(self) -> int:
        """Return how it ended."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.run.pid, 0)[1])
        self.run.close()
        return code


# the filter


def closes() -> tuple[int, str]:
    """Close three descriptors, of which one is the handle."""
    text = "import os\nfor fd in (30, 31, 32): os.dup2(0, fd); os.close(fd)\nprint('done')"
    script = Script(text, set(), handle=31)
    held = script.held()
    script.listener.let_go(held)
    said = script.said()
    assert script.end() == 0
    return held.signed(0), said


def test_only_the_close_of_the_one_handle_is_held(sandbox: Sandbox) -> None:
    """BPF compares the argument: the other closes never stop."""
    assert sandbox.call(closes) == (31, "done")


def refusals() -> str:
    """Meet refused calls."""
    text = """
import os
def said(call, *arguments):
    try:
        call(*arguments)
        return "nil"
    except OSError as error:
        return error.strerror and __import__("errno").errorcode[error.errno]
print(said(os.pidfd_open, os.getpid()), said(os.waitid, os.P_ALL, 0, os.WEXITED),
      said(os.waitid, os.P_PIDFD, 0, os.WEXITED))
"""
    script = Script(text, set(), "pidfd_open=ENOSYS", "waitid[0]=3=EINVAL")
    said = script.said()
    assert script.end() == 0
    return said


def test_a_refused_call_fails_with_its_errno_and_only_where_its_argument_matches(
    sandbox: Sandbox,
) -> None:
    """pidfd_open is refused whole, waitid for pidfds only."""
    assert sandbox.call(refusals) == "ENOSYS ECHILD EINVAL"


def test_what_is_no_refusal_is_told() -> None:
    """An unknown call or errno is the user's error, in three parts."""
    for text in ("open=ENOENT", "kill=EWHAT", "kill", "waitid[9]=3=EINVAL"):
        with pytest.raises(UserError, match="names no refusal"):
            Refusal.parse(text)
    for text in ("pidfd_open=ENOSYS", "waitid[0]=3=EINVAL"):
        assert str(Refusal.parse(text)) == text


# architectures


def test_an_unknown_architecture_is_refused_by_name() -> None:
    """No number is guessed: it would be some other call."""
    for name in ("riscv64", "ppc64le", "s390x"):
        with pytest.raises(PlatformUnsupported, match=name):
            machine_named(name)
    with pytest.raises(PlatformUnsupported, match="32-bit"):
        machine_named("x86_64", 32)


def test_arm64_has_its_own_numbers_and_says_that_it_was_not_run() -> None:
    """It has no fork and no vfork, and another number for everything older."""
    arm, intel = machine_named("aarch64"), machine_named("x86_64")
    assert arm.name not in RUN
    assert intel.name in RUN
    assert not {"fork", "vfork"} & set(arm.calls)
    differing = {call for call in arm.calls if arm.calls[call] != intel.calls[call]}
    assert {"kill", "wait4", "waitid", "close", "clone", "tgkill"} == differing
    assert program(arm, {"fork", "kill"})  # what it lacks is left out


# signals and deaths while a call is held


def a_signal_comes() -> tuple[bool, str]:
    """Send a handled signal to a program whose call is held, then let it go."""
    text = """
import os, signal
signal.signal(signal.SIGUSR1, lambda *_: None)
print("ready", flush=True)
print(os.pidfd_open(os.getpid()) > 0)
"""
    script = Script(text, {"pidfd_open"})
    assert script.said() == "ready"
    held = script.held()
    keeper = guard()
    keeper.register(script.run.pid)
    keeper.kill(script.run.pid, signal.SIGUSR1)
    still = script.listener.valid(held)
    script.listener.let_go(held)
    said = script.said()
    assert script.end() == 0
    return still, said


def test_a_signal_does_not_cancel_a_held_call(sandbox: Sandbox) -> None:
    """WAIT_KILLABLE_RECV: the call stays held, is made once, and succeeds."""
    assert sandbox.call(a_signal_comes) == (True, "True")


def the_caller_dies() -> tuple[bool, bool, bool]:
    """Kill a program whose call is held, then answer."""
    script = Script("import os\nos.pidfd_open(os.getpid())", {"pidfd_open"})
    held = script.held()
    guard().kill(script.run.pid, signal.SIGKILL)
    os.waitpid(script.run.pid, 0)
    answers = (
        script.listener.valid(held),
        script.listener.let_go(held),
        script.listener.inject(held, 0, 40),
    )
    script.run.close()
    return answers


def test_the_death_of_a_held_caller_is_no_error(sandbox: Sandbox) -> None:
    """ENOENT on every answer means that nobody waits for it any more."""
    assert sandbox.call(the_caller_dies) == (False, False, False)


def the_supervisor_lets_go_of_everything() -> str:
    """Close the listener while a call is held."""
    text = """
import os, errno
try: os.pidfd_open(os.getpid())
except OSError as error: print(errno.errorcode[error.errno])
"""
    script = Script(text, {"pidfd_open"})
    script.held()
    os.close(script.listener.fd)
    said = script.said()
    os.waitpid(script.run.pid, 0)
    return said


def test_without_its_supervisor_a_held_call_fails_and_is_not_made(sandbox: Sandbox) -> None:
    """ENOSYS; that is why the supervisor is process 1, with which all others die."""
    assert sandbox.call(the_supervisor_lets_go_of_everything) == "ENOSYS"


def hold_and_die() -> None:
    """End process 1 while a call is held."""
    Script("import os\nos.pidfd_open(os.getpid())", {"pidfd_open"}).held()
    os._exit(5)


def test_nothing_is_left_when_the_supervisor_dies_holding(sandbox: Sandbox) -> None:
    """The held program inherits the pipe's write end; its end says that it is gone."""
    del sandbox
    reader, writer = os.pipe()
    saved = os.dup(2)
    os.dup2(writer, 2)
    os.close(writer)
    try:
        with Sandbox() as other, pytest.raises(Exception, match="exit 5"):
            other.call(hold_and_die)
    finally:
        os.dup2(saved, 2)
        os.close(saved)
    with open(reader, "rb") as everyone:
        while select.select([everyone], [], [], _SECONDS)[0]:
            if not everyone.read1():
                return
    pytest.fail("somebody inside is still alive")


# return values


def values() -> list[int]:
    """Read what three calls returned, before the program sees it."""
    text = """
import os, ctypes
kill = ctypes.CDLL(None).kill
kill(os.getpid(), 0); kill(999999, 0); kill(os.getpid(), 9999)
print("done")
"""
    script = Script(text, {"kill"})
    seen = []
    for _ in range(3):
        stopped = returns.let_go_and_stop(script.listener, script.held())
        assert stopped is not None
        seen.append(stopped.value)
        # It is held once more, behind its call: it can't have made the next one.
        assert not select.select([script.listener.fd], [], [], 0)[0]
        stopped.resume()
    assert script.said() == "done"
    assert script.end() == 0
    return seen


def test_ptrace_tells_what_a_let_go_call_returned(sandbox: Sandbox) -> None:
    """No event says that a call returned; the stop behind it does, with its value."""
    assert sandbox.call(values) == [0, -errno.ESRCH, -errno.EINVAL]


# children


def held_by(adapter: tuple[str, ...], argv: list[str]) -> tuple[int, str, list[str]]:
    """Start a child with everything held that is the testee's own, and let that go as it comes."""
    keeper = guard()
    with Testee(Program(adapter, processes=True), keeper) as testee:
        testee.handshake()
        testee.rest()
        testee.holding = True
        number = testee.invoke("start", "a", argv=argv)
        calls = []
        while testee.conversation.answer(number) is None:
            testee.pump(1)
            for call in tuple(testee.held):
                calls.append(call.call)
                testee.let_go(call)
        answer = testee.conversation.answer(number)
        assert answer is not None
        pid = int(answer["pid"])
        with open(f"/proc/{pid}/status", encoding="utf-8") as status:
            parent = next(line.split()[1] for line in status if line.startswith("PPid"))
        assert int(parent) == testee.pid  # whatever name the child shows
        return pid, str(answer["outcome"]), calls


@pytest.mark.parametrize("name", ["cpython-popen", "c-pid"])
def test_a_vfork_childs_calls_are_let_go_at_once(sandbox: Sandbox, name: str) -> None:
    """The parent sleeps until the child has gone on; only the one call that makes it is held."""
    argv = command(name)
    _, outcome, calls = sandbox.call(held_by, argv, [str(a) for a in idle_argv()])
    assert outcome == "nil"
    assert len([c for c in calls if c in ("vfork", "fork", "clone", "clone3")]) == 1


def command(name: str) -> tuple[str, ...]:
    """Return the command of a known adapter; skip where it cannot run."""
    try:
        return tuple(registry.resolve(name).prepare())
    except UserError as missing:
        pytest.skip(str(missing))


def a_busy_child() -> list[str]:
    """Start a child that makes the held calls itself, and see which are held."""
    keeper = guard()
    with Testee(Program(_POPEN), keeper) as testee:
        testee.handshake()
        testee.holding = True
        number = testee.invoke("start", "a", argv=["/bin/sh", "-c", "kill -0 $$; true & wait"])
        testee.until(lambda: testee.conversation.answer(number) is not None, "the child")
        testee.rest()
        return [call.call for call in testee.held]


def test_the_filter_that_a_child_inherits_holds_nothing_of_its_own(sandbox: Sandbox) -> None:
    """A child has the testee's filter for good; its kill and its wait are its own business."""
    assert sandbox.call(a_busy_child) == []


def take_early() -> tuple[bool, list[str], bool]:
    """Let output and a held call come together."""
    keeper = guard()
    with Testee(Program(_POPEN), keeper) as testee:
        testee.handshake()
        testee.call("start", "a", argv=idle_argv())
        testee.rest()
        testee.holding = True
        number = testee.invoke("kill", "a")
        testee.until(lambda: bool(testee.held), "its call")
        return (
            testee.conversation.invoked(number) is not None,
            [call.call for call in testee.held],
            testee.conversation.answer(number) is None,
        )


def test_a_call_that_comes_while_output_is_read_is_kept(sandbox: Sandbox) -> None:
    """Nobody but the schedule lets a held call go, whatever else is read meanwhile."""
    invoked, held, unanswered = sandbox.call(take_early)
    assert invoked
    assert unanswered
    assert held in (["kill"], ["wait4"])  # send_signal polls first


# rest, recycling, judging


def runs(
    adapter: tuple[str, ...], scenario: str, schedule: str, times: int, held: Program | None = None
) -> set[tuple[object, ...]]:
    """Return what came of replaying a schedule, each different one once."""
    seen: set[tuple[object, ...]] = set()
    with Session(held or Program(adapter)) as session:
        for _ in range(times):
            outcome = session.run(Scenario.parse(scenario), schedule.split())
            steps = tuple((step.actor, step.shown) for step in outcome.steps)
            seen.add((outcome.verdict, outcome.skipped, outcome.taken, steps))
    return seen


def test_rest_is_found_exactly_and_a_death_is_never_judged_too_early(sandbox: Sandbox) -> None:
    """150 runs of one schedule: the same steps each time, and the victim is hit in every one."""
    ((verdict, skipped, taken, _),) = sandbox.call(
        runs, _POPEN, "start|wait,kill", "W1 W1 K1 exit(a) K1", 150
    )
    assert (verdict, skipped, taken) == ("wrong process signalled", (), ("pid(a)",))


def test_a_zombies_pid_is_not_given_away(sandbox: Sandbox) -> None:
    """The child has ended and nobody has reaped it: the pid stays its own, and kill is right."""
    ((verdict, _, taken, _),) = sandbox.call(runs, _POPEN, "start|wait,kill", "W1 K1 exit(a) K1", 5)
    assert (verdict, taken) == (None, ())


def test_a_held_kill_of_cpython_keeps_the_interpreter_but_not_the_kernel(sandbox: Sandbox) -> None:
    """os.kill keeps the GIL: no operation begins meanwhile, and yet the child is reaped."""
    ((_, _, taken, steps),) = sandbox.call(
        runs, _POPEN, "start|wait,kill,signal", "W1 W1 K1 exit(a) S1", 5
    )
    assert isinstance(steps, tuple)
    assert steps[2] == ("K1", ("K1 at kill(a)",))
    assert steps[4] == ("S1", ("K1 at kill(a)",))  # asked for, and not begun
    assert taken == ("pid(a)",)  # by the kernel's wait4, whose thread still waits for the GIL


def test_a_held_kill_of_go_does_not_stall_the_others(sandbox: Sandbox) -> None:
    """Go kills by a raw system call; the others still come to their own calls beside it."""
    argv = command("go-1.27")
    wanted = Program(argv, (Refusal.parse("pidfd_open=ENOSYS"),))
    ((_, skipped, _, steps),) = sandbox.call(
        runs, argv, "start|kill,wait,signal", "K1 W1 W1 exit(a) K1", 10, wanted
    )
    assert isinstance(steps, tuple)
    assert skipped == ()
    assert steps[1] == ("W1", ("K1 at kill(a)", "W1 at waitid(a)"))


def fates(harms: list[int]) -> list[int | None]:
    """Send each signal to a victim (0: none) and tell of what each is said to have died."""
    keeper = guard()
    told: list[int | None] = []
    with Victims(keeper) as victims:
        for harm in harms:
            victim = victims.take(4321)
            assert victim is not None
            assert victims.take(4321) is None  # the pid is in use now
            keeper.kill(4321, harm)
            fate = victims.retire(victim)
            assert fate.reaped_by_us
            told.append(fate.signal)
    return told


def test_a_victim_dies_of_the_signal_that_hit_it_and_of_no_other(sandbox: Sandbox) -> None:
    """Whatever was sent first shows; a stop, a question and nothing leave it untouched."""
    fatal = [signal.SIGKILL, signal.SIGTERM, signal.SIGQUIT, signal.SIGRTMIN, signal.SIGHUP]
    harmless = [0, signal.SIGSTOP, signal.SIGCHLD]
    for _ in range(30):
        told = sandbox.call(fates, [*map(int, fatal), *map(int, harmless)])
        assert told == [*fatal, None, None, None]


def everyone_hit() -> bool:
    """Hit even the process that victims are copied from, with kill(-1), and take another."""
    keeper = guard()
    with Victims(keeper) as victims:
        first = victims.take(4321)
        assert first is not None
        keeper.kill(-1, signal.SIGKILL)
        hit = victims.retire(first)
        second = victims.take(4321)
        assert second is not None
        return hit.signal == signal.SIGKILL and victims.retire(second).untouched


def test_kill_minus_one_of_a_testee_does_not_end_the_supply_of_victims(sandbox: Sandbox) -> None:
    """The victim is hit, and the next one comes from a new source."""
    assert sandbox.call(everyone_hit)


def number_recycled() -> tuple[str, bool]:
    """Put a victim under the testee's own descriptor number without its co-operation."""
    text = """
import os, signal
own = os.pidfd_open(os.getpid())
os.close(own)
print(own, flush=True)
signal.pidfd_send_signal(own, signal.SIGTERM)
print("sent", flush=True)
"""
    script = Script(text, {"pidfd_send_signal"})
    number = int(script.said())
    held = script.held()
    with Recycler(guard()) as recycler:
        victim = recycler.take(4000)
        assert victim is not None
        assert script.listener.inject(held, victim.pidfd, number)
        script.listener.let_go(held)
        said = script.said()
        fate = recycler.retire(victim)
    assert script.end() == 0
    return said, fate.signal == signal.SIGTERM


def test_a_closed_number_is_recycled_without_the_programs_help(sandbox: Sandbox) -> None:
    """ADDFD with SETFD: the call that was held reaches the victim."""
    assert sandbox.call(number_recycled) == ("sent", True)


def line_marks() -> int:
    """Close a number that is no descriptor but a line."""
    text = f"import os\ntry: os.close({LINE} + 42)\nexcept OSError: print('none')"
    script = Script(text, set())
    held = script.held()
    script.listener.let_go(held)
    assert script.said() == "none"
    assert script.end() == 0
    return held.signed(0) - LINE


def test_a_line_of_python_stops_like_a_call(sandbox: Sandbox) -> None:
    """Where os.kill would keep the GIL, a line can be held that does not."""
    assert sandbox.call(line_marks) == 42


def test_at_a_line_the_rest_of_the_program_goes_on(sandbox: Sandbox) -> None:
    """Held before a line, unlike in os.kill, a thread leaves the GIL to the others."""
    argv = (sys.executable, "-P", *_POPEN[3:])  # with -S it would not find our package
    held = Program(argv, lines=("subprocess:Popen.send_signal",))
    ((_, _, _, steps),) = sandbox.call(
        runs, _POPEN, "start|kill,wait,signal", "K1 W1 W1 S1", 5, held
    )
    assert isinstance(steps, tuple)
    (at_line,) = steps[0][1]
    assert at_line.startswith("K1 at line(0+")
    assert steps[1] == ("W1", (at_line, "W1 at wait4(a)"))
    assert steps[3][1][0] == at_line
    assert steps[3][1][1].startswith("S1 at line(0+")


def test_only_a_python_program_has_lines() -> None:
    """Anything else is told so, and an unknown function by its name."""
    for argv, functions in (
        (["/bin/true"], ["subprocess:Popen.wait"]),
        ([sys.executable, "-c", ""], ["subprocess:Popen.wait"]),
        ([sys.executable, "x.py"], ["subprocess:Popen.fly"]),
    ):
        with pytest.raises(UserError):
            wrapped(argv, functions)
