"""The word against the plainest specification there is: a counter and a reason."""

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from lastref.impl.atomic import word_factory
from lastref.impl.word import DONE, OK, PERSISTENT, RELEASED, HandleWord
from lastref.model import word as model


class WordMachine(RuleBasedStateMachine):
    """Acquire, release and drop in any order; each holder releases once, as callers must."""

    holders = Bundle("holders")

    def __init__(self) -> None:
        super().__init__()
        self.closed = 0
        self.cell = word_factory()(PERSISTENT)
        self.word = HandleWord(self.cell, self.close)
        self.held = 0
        self.reason = OK

    def close(self) -> None:
        """Count the closes."""
        self.closed += 1

    @rule(target=holders)
    def acquire(self) -> int:
        """Acquire succeeds exactly while no reason is set, and says the reason otherwise."""
        status = self.word.transient_acquire()
        assert status == self.reason
        if status != OK:
            return -1
        self.held += 1
        return self.held

    @rule(holder=consumes(holders))
    def release(self, holder: int) -> None:
        """A holder gives its reference back; the last one out closes."""
        if holder < 0:
            return
        self.word.transient_release()
        self.held -= 1

    @rule(reason=st.sampled_from([DONE, RELEASED]))
    def drop(self, reason: int) -> None:
        """The first drop sets the reason, and a later one is told it and changes nothing."""
        assert self.word.persistent_release(reason) == self.reason
        self.reason = self.reason or reason

    @invariant()
    def the_word_says_what_happened(self) -> None:
        """References = holders + persistent, status = the first reason, in both writings-down."""
        value = self.cell.load()
        references, done, released = model.decode(value)
        assert references == self.held + (self.reason == OK)
        assert (done, released) == (self.reason == DONE, self.reason == RELEASED)
        assert model.is_legal(value)

    @invariant()
    def the_last_user_closes_once(self) -> None:
        """The handle is closed exactly when a reason is set and nobody holds it."""
        assert self.closed == int(self.reason != OK and self.held == 0)


TestWord = WordMachine.TestCase
