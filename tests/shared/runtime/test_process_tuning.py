"""Cycles go in quiet moments, and nothing is looked through while nothing is worth it."""

import gc
import weakref

import pytest

from shared.runtime.process_tuning import collect_between_batches


class Cycle:
    """Refers to itself."""

    def __init__(self):
        self.itself = self


@pytest.fixture(autouse=True)
def counting_from_nothing():
    """What other tests left behind does not count, and nothing is collected but by what is tested."""
    gc.disable()
    gc.collect()
    yield
    gc.enable()


def test_many_objects_are_looked_through_in_a_quiet_moment():
    """Then what only refers to itself is gone."""
    gone, others = weakref.ref(Cycle()), [[] for _ in range(6_000)]
    collect_between_batches()
    assert gone() is None
    assert len(others) == 6_000


def test_few_are_not_worth_it():
    """Quiet moments come five times a second."""
    still = weakref.ref(Cycle())
    collect_between_batches()
    assert still() is not None
