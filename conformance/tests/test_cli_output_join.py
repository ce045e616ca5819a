"""What passed is told in one row for each design and kind; what did not keeps its own."""

from lastref.conformance.cli.output import join
from lastref.conformance.results import Check, Verdict


def made(name: str, verdict: Verdict = Verdict.PASS, **extra: int) -> Check:
    """Return a check of go-2024 with five cases."""
    reason = "" if verdict is Verdict.PASS else "because"
    return Check(name, "replay", verdict, 5, 1.0, reason, "go-2024", "linux", extra)


def test_passed_checks_of_one_kind_share_a_row() -> None:
    """The row sums the cases and the time, and says how many checks it stands for."""
    (row,) = join([made("a"), made("b"), made("c")])
    assert (row.id, row.count, row.seconds) == ("go-2024/linux/replay", 15, 3.0)
    assert row.reason == "3 checks"


def test_what_did_not_pass_keeps_its_own_row() -> None:
    """A broken or incomplete check is never hidden in a sum."""
    rows = list(join([made("a"), made("b", Verdict.BROKEN), made("c", Verdict.INCOMPLETE)]))
    assert [r.id for r in rows] == ["go-2024/linux/replay", "b", "c"]
    assert [r.reason for r in rows] == ["1 check", "because", "because"]


def test_what_was_skipped_for_one_reason_shares_a_row() -> None:
    """The row says how many, and why; another reason has another row."""
    other = Check("d", "replay", Verdict.SKIPPED, 0, 0.0, "so", "go-2024", "linux")
    rows = list(join([made("b", Verdict.SKIPPED), made("c", Verdict.SKIPPED), other]))
    assert [(r.verdict, r.reason) for r in rows] == [
        (Verdict.SKIPPED, "2 checks: because"),
        (Verdict.SKIPPED, "1 check: so"),
    ]


def test_the_wrong_processes_of_a_faulty_design_are_told() -> None:
    """The remark of replays says what they broke and hit, or that they did not."""
    (faulty,) = join([made("a", diverged=0, broken=7, wrong_process=4)])
    assert faulty.reason == "1 check; 7 break a law and 4 hit a wrong process, as in the model"
    (sound,) = join([made("a", diverged=0, broken=0, wrong_process=0)])
    assert sound.reason.endswith("no law broken, no wrong process hit, none diverged")
