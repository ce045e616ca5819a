"""Work in processes side by side: all of it, in order, and nobody left."""

import os
import signal
from functools import partial
from multiprocessing import active_children
from operator import call

import pytest

from lastref.conformance.computing import Computing


@pytest.mark.parametrize(("jobs", "items"), [(1, 3), (2, 1), (2, 0)])
def test_what_is_not_worth_a_process_is_done_here(jobs: int, items: int) -> None:
    """With one job, or for one thing or none, nobody is started."""
    with Computing(jobs) as computing:
        assert list(computing.map(call, [os.getpid] * items)) == [os.getpid()] * items


def test_what_comes_of_it_is_in_order_and_from_elsewhere() -> None:
    """Other processes do the work, which a Ctrl-C leaves alone; at the end they are gone."""
    with Computing(2) as computing:
        assert list(computing.map(abs, range(-20, 0))) == list(range(20, 0, -1))
        workers = set(computing.map(call, [os.getpid] * 4))
        handler = partial(signal.getsignal, signal.SIGINT)
        assert set(computing.map(call, [handler] * 4)) == {signal.SIG_IGN}
        assert workers <= {child.pid for child in active_children()}
    assert active_children() == []
