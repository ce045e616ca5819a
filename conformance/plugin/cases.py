"""A test for each conformance case: collected beside the project's own, judged as they run.

    lastref::child/wait.signal      markers: lastref, lastref_child

Each worker has one adapter, which runs from its first case to its last.  What comes of a case:

    pass                                    passed
    a deviation, a crash, a timeout, …      failed, with the history as a picture
    a known deviation                       xfailed, by the list that --lastref-expect names
    a known deviation that passes now       failed: the xfail is strict
    not supported, precondition failed      skipped, with the reason

Whether an entry of the list applies depends on the version that the adapter tells, so the mark is
set when the case has run.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lastref.conformance import testrun
from lastref.conformance.adapters.registry import resolve
from lastref.conformance.errors import UserError
from lastref.conformance.expectations import Expectations
from lastref.conformance.gated import Gating
from lastref.conformance.outcomes import Outcome, Status
from lastref.conformance.plugin.running import Running, fail
from lastref.conformance.protocol.adapter import DEADLINE, deadline_of
from lastref.conformance.results import Check, Verdict
from lastref.conformance.selection import Selection, parse_shard
from lastref.conformance.suite import Case, all_cases

NAME = "lastref"


def set_up(config: pytest.Config) -> None:
    """Take the options, make the markers known, and have the cases collected."""
    try:
        added = AddedCases(config)
    except UserError as error:
        raise pytest.UsageError(f"lastref: {error}") from error
    config.addinivalue_line("markers", f"{NAME}: a conformance case of lastref")
    for situation in dict.fromkeys(case.situation for case in all_cases()):
        config.addinivalue_line(
            "markers", f"{_marker(situation)}: a conformance case in the situation '{situation}'"
        )
    config.pluginmanager.register(added, "lastref-cases")


def _marker(situation: str) -> str:
    return f"{NAME}_{situation.replace('-', '_')}"


class AddedCases:
    """The hook that adds the cases to what was collected."""

    def __init__(self, config: pytest.Config) -> None:
        option = config.option
        adapter = resolve(option.lastref_adapter)
        self.expect = testrun.expected(adapter, option.lastref_expect)
        self._refuse_unknown(self.expect)
        patterns = tuple(option.lastref_case)
        self.cases = Selection(patterns, parse_shard(option.lastref_shard)).of(all_cases())
        traces = option.lastref_traces
        self.running = Running(
            adapter,
            deadline_of(DEADLINE if option.lastref_deadline is None else option.lastref_deadline),
            Gating(traces=None if traces is None else Path(traces)),
        )

    @staticmethod
    def _refuse_unknown(expect: Expectations | None) -> None:
        """Refuse a list with an id that there is not: it would be about nothing."""
        listed = {case for entry in expect.entries for case in entry.cases} if expect else set()
        unknown = sorted(listed - {case.id for case in all_cases()})
        if unknown:
            assert expect is not None
            raise UserError(
                f"'{expect.path.name}' lists {unknown[0]}",
                "there is no such case",
                "run 'lastref check ADAPTER --expect FILE --fix'",
            )

    @pytest.hookimpl(tryfirst=True)  # before -k and -m choose
    def pytest_collection_modifyitems(
        self, session: pytest.Session, items: list[pytest.Item]
    ) -> None:
        """Add a test for each case, after the project's own."""
        everything = Cases.from_parent(session, added=self)
        items.extend(everything.collect())

    def judged(self, outcome: Outcome) -> Check:
        """Return the check that comes of an outcome, by the list of known deviations if any."""
        running = self.running
        return testrun.judged(
            running.adapter, self.expect, outcome, running.ready, testrun.today_in_utc()
        )


class Cases(pytest.Collector):
    """All cases.  When the last one of them is over the adapter is ended."""

    def __init__(self, *, added: AddedCases, **rest: Any) -> None:
        super().__init__(**rest)
        self.added = added

    @classmethod
    def from_parent(cls, parent: pytest.Session, *, added: AddedCases) -> Cases:  # type: ignore[override]
        """Return the collector; the file that its tests are shown in does not exist."""
        return super().from_parent(
            parent, name=NAME, path=parent.config.rootpath / NAME, nodeid=NAME, added=added
        )

    def collect(self) -> Sequence[CaseItem]:
        """Return the tests in the cases' own order."""
        return [CaseItem.from_parent(self, case=case) for case in self.added.cases]

    def teardown(self) -> None:
        """End the adapter."""
        self.added.running.close()


class CaseItem(pytest.Item):
    """One case, as a test."""

    parent: Cases

    def __init__(self, *, case: Case, **rest: Any) -> None:
        super().__init__(**rest)
        self.case = case
        self.add_marker(NAME)
        self.add_marker(_marker(case.situation))

    @classmethod
    def from_parent(cls, parent: Cases, *, case: Case) -> CaseItem:  # type: ignore[override]
        """Return the test of one case."""
        return super().from_parent(parent, name=case.id, case=case)

    def runtest(self) -> None:
        """Run the case and judge it."""
        added = self.parent.added
        try:
            outcome = added.running.outcome(self.case)
        except UserError as error:
            pytest.fail(f"lastref: {error}", pytrace=False)
        check = added.judged(outcome)
        self.user_properties += [("lastref-status", outcome.status.value)]
        if check.verdict is Verdict.SKIPPED:
            pytest.skip(check.reason)
        if outcome.status is Status.PASS:
            if check.verdict is not Verdict.PASS:
                self.add_marker(pytest.mark.xfail(reason=check.reason, strict=True))
            return
        if check.verdict is Verdict.PASS:
            self.add_marker(pytest.mark.xfail(reason=check.reason, strict=True))
        fail(outcome, check.reason, *self._again())

    def _again(self) -> tuple[str, str]:
        """Return the two commands that run this one case again."""
        asked, case = self.parent.added.running.adapter.asked, shlex.quote(self.case.id)
        return (
            f"lastref check {asked} --case {case} --expect none",
            f"pytest -m {NAME} --lastref-adapter {asked} --lastref-case {case}",
        )

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return where the test is from, as pytest shows it."""
        return self.path, None, self.name
