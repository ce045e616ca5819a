"""The word's layout, as the seed defines it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastref.model import word
from lastref.model.algebra import evaluate, var

WORDS = st.integers(0, 2**64 - 1)


def test_bits_are_where_the_seed_has_them() -> None:
    """Bit 62 is done, bit 63 released, the low 62 bits count."""
    assert (word.DONE, word.RELEASED) == (1 << 62, 1 << 63)
    assert word.STATUS_MASK == 0x3 << 62
    assert word.REFS_MASK + word.STATUS_MASK == 2**64 - 1


@settings(deadline=None)
@given(st.integers(0, word.MAX_REFS), st.booleans(), st.booleans())
def test_decode_undoes_encode(references: int, done: bool, released: bool) -> None:
    """Every count and status survives the round trip."""
    encoded = word.encode(references, done=done, released=released)
    assert word.decode(encoded) == (references, done, released)


@settings(deadline=None)
@given(WORDS)
def test_status_and_refs_split_every_word(value: int) -> None:
    """The two fields are disjoint and lose nothing, on ints and on expressions alike."""
    assert word.status(value) + word.refs(value) == value
    expr = var("word", 64)
    assert evaluate(word.refs(expr), {"word": value}) == word.refs(value)
    assert evaluate(word.status(expr), {"word": value}) == word.status(value)


@pytest.mark.parametrize("references", [-1, 2**62])
def test_a_count_that_does_not_fit_is_refused(references: int) -> None:
    """The word has no overflow guard of its own, so encode refuses what would spill into done."""
    with pytest.raises(ValueError, match="do not fit the word"):
        word.encode(references)


def test_more_than_64_bits_are_no_word() -> None:
    """decode refuses what is not 64 bits."""
    with pytest.raises(ValueError, match="more than 64 bits"):
        word.decode(1 << 64)


@pytest.mark.parametrize(
    ("value", "shown", "legal"),
    [
        (1, "ok refs=1", True),
        (word.DONE, "done refs=0", True),
        (word.RELEASED | 2, "released refs=2", True),
        (word.DONE | word.RELEASED, "reserved refs=0", False),
        (0, "ok refs=0", False),
    ],
)
def test_words_are_shown_and_judged(value: int, shown: str, legal: bool) -> None:
    """People read a word by its fields; both status bits, and a live zero, are illegal."""
    assert word.show(value) == shown
    assert word.is_legal(value) is legal
