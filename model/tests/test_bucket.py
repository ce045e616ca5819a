"""A bucket gives back what was put into it: sorted, each once, piece after piece."""

from __future__ import annotations

import numpy as np
import pytest

from lastref.model.bucket import CHUNK, Bucket, Memory, States


def _random(seed: int, many: int, below: int) -> States:
    return np.random.default_rng(seed).integers(0, below, many)


def _whole(bucket: Bucket) -> States:
    return np.concatenate([np.empty(0, np.int64), *(piece.copy() for piece in bucket.take())])


@pytest.mark.parametrize("below", [100, 10**6, 2**62])
@pytest.mark.parametrize("many", [0, 1, CHUNK, 9 * CHUNK, 40 * CHUNK + 1])
def test_every_state_comes_back_once_and_in_order(many: int, below: int) -> None:
    """Added in parts of all sizes, with and without a change, with few doubles and with many."""
    bucket = Bucket(Memory())
    states, change = _random(1, many, below), _random(2, many, 3)
    parts = np.array_split(np.arange(many), 7)
    for number, part in enumerate(parts):
        bucket.add(states[part], change[part] if number % 2 else None)
        if not number % 2:
            change[part] = 0
    assert np.array_equal(_whole(bucket), np.unique(states + change))


def test_what_is_appended_in_order_may_be_added_to() -> None:
    """Sorted states in front, unsorted ones behind: both come out, those in both once."""
    bucket = Bucket(Memory())
    ordered = np.arange(0, 20 * CHUNK, 2)
    for part in np.array_split(ordered, 30):
        bucket.append(part)
    others = _random(3, 5 * CHUNK, 20 * CHUNK)
    bucket.add(others)
    assert np.array_equal(_whole(bucket), np.union1d(ordered, others))


def test_a_piece_fits_into_the_cache() -> None:
    """Whatever the runs have in common, a piece is a few chunks at the most."""
    bucket = Bucket(Memory())
    for seed in range(40):
        bucket.add(_random(seed, 2 * CHUNK, 10**9 if seed % 2 else 10**5))
    assert max(map(len, bucket.take())) <= 4 * CHUNK


def test_an_emptied_bucket_may_be_filled_again_in_the_same_memory() -> None:
    """Nothing of what was in it before comes back, and no more memory is mapped for it."""
    memory = Memory()
    bucket = Bucket(memory)
    bucket.add(_random(1, 20 * CHUNK, 10**9))
    _whole(bucket)
    free = memory.free
    later = _random(2, 20 * CHUNK, 10**9)
    bucket.add(later)
    assert memory.free < free
    assert np.array_equal(_whole(bucket), np.unique(later))
    assert memory.free == free
