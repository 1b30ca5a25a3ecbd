"""How large the faults are: short rounds are part of `make test`, full ones (CHAOS_FULL=1) of `make chaos`."""

import os
from typing import Final, TypeVar

import pytest

FULL: Final = os.environ.get("CHAOS_FULL") == "1"
ROUNDS: Final = int(os.environ.get("CHAOS_ROUNDS", "1"))

Value = TypeVar("Value")

#: For what needs three brokers, or minutes.
only_in_full = pytest.mark.skipif(not FULL, reason="only in make chaos (CHAOS_FULL=1)")


#: Shorter still than FAST_SETTINGS, in seconds: a takeover after a kill waits for the first three.
FASTER_SETTINGS: Final = (
    {}
    if FULL
    else {
        "LEASE_SECONDS": "1",
        "HOSPITAL_API_TIMEOUT": "1",
        "HOSPITAL_API_SETTLE_SECONDS": "1",
        "RETRY_MAX_WAIT": "0.5",
        "COMMIT_INTERVAL_MS": "300",  # a tenth of all CPU here; and more is in flight when a processor dies
    }
)


def sized(short: Value, full: Value) -> Value:
    """The value for this run's size."""
    return full if FULL else short
