"""How large the faults are: short rounds are part of `make test`, full ones (CHAOS_FULL=1) of `make chaos`."""

import os
from typing import Final, TypeVar

import pytest

FULL: Final = os.environ.get("CHAOS_FULL") == "1"
ROUNDS: Final = int(os.environ.get("CHAOS_ROUNDS", "1"))

Value = TypeVar("Value")

#: For what needs three brokers, or minutes.
only_in_full = pytest.mark.skipif(not FULL, reason="only in make chaos (CHAOS_FULL=1)")


def sized(short: Value, full: Value) -> Value:
    """The value for this run's size."""
    return full if FULL else short
