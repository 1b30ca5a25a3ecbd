"""The processor's Prometheus metrics."""

from collections.abc import Callable
from functools import cache
from typing import Final

from prometheus_client import Counter, Enum, Gauge, Histogram

from shared.contract.events import BreakerState

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

RESULTS = Counter("hospital_processor_results_total", "Rows that got their result", ["outcome"])
CALLS = Counter("hospital_processor_directory_calls_total", "Calls to the directory", ["call", "outcome"])
CALL_SECONDS = Histogram(
    "hospital_processor_directory_call_seconds", "How long the directory took", ["call"], buckets=_SECONDS
)
LOOK_UPS = Counter("hospital_processor_look_ups_total", "What look-ups said of rows in doubt", ["answer"])
BREAKER_STATE = Enum(
    "hospital_processor_breaker", "The circuit breaker's state", states=[state.value for state in BreakerState]
)
SLOTS = Counter("hospital_processor_slots_total", "Slots of the rate limit", ["use"])
RETRY_AFTER_WAITS = Counter("hospital_processor_retry_after_waits_total", "Times that the directory sent Retry-After")
COMMIT_SECONDS = Histogram("hospital_processor_commit_seconds", "Transactions of lanes", buckets=_SECONDS)
TAKEOVERS = Counter("hospital_processor_takeovers_total", "Lanes taken over")
FENCED = Counter("hospital_processor_fenced_total", "Lanes lost to another processor")
STOPPED_LANES = Gauge("hospital_processor_stopped_lanes", "Lanes that stopped because records are missing")
DEAD_LETTERS = Counter("hospital_processor_dead_letters_total", "Records that could not be decoded")
ACTIVATIONS = Counter("hospital_processor_activations_total", "Batches activated", ["outcome"])
LANE_STATES = ("in_flight", "waiting", "window")
LANE_ROWS = Gauge("hospital_processor_lane_rows", "Rows of a lane", ["partition", "state"])
LANE_LAG_ROWS = Gauge("hospital_processor_lane_lag_rows", "Rows behind the watermark", ["partition"])
LANE_LAG_SECONDS = Gauge("hospital_processor_lane_lag_seconds", "Age of the oldest unfinished row", ["partition"])


MEMORY = Gauge("hospital_processor_memory_bytes", "What rows take of the memory, and what they may take", ["of"])


@cache  # finding a series by its labels costs more than counting
def results(outcome: str) -> Counter:
    """The counter of rows with this result."""
    return RESULTS.labels(outcome)


#: Dashboards ask for the label's values, so outcomes that got better names keep the old ones here.
_OUTCOME_LABELS: Final = {
    "ConnectionFailed": "NeverSent",
    "LookupFailed": "Unlisted",
    "NotSent": "Withheld",
    "ServiceRejected": "Refused",
}


@cache
def calls(call: str, outcome: str) -> Counter:
    """The counter of calls with this outcome, the name of one of the types of `directory.outcomes`."""
    return CALLS.labels(call, _OUTCOME_LABELS.get(outcome, outcome))


@cache
def call_seconds(call: str) -> Histogram:
    """The histogram of these calls' seconds."""
    return CALL_SECONDS.labels(call)


def total(metric: Counter | Histogram, suffix: str = "_total", **labels: str) -> float:
    """The sum of a metric's samples in this process, over all series with these labels."""
    return sum(
        sample.value
        for family in metric.collect()
        for sample in family.samples
        if sample.name.endswith(suffix) and labels.items() <= sample.labels.items()
    )


def show_memory(limit: int, held: Callable[[], int]) -> None:
    """Shows what the rows of this process take, and what they may take, in bytes."""
    MEMORY.labels("limit").set(limit)
    MEMORY.labels("held").set_function(held)


def forget_lane(partition: int) -> None:
    """Removes the lane's gauges: another processor shows them now."""
    for state in LANE_STATES:
        LANE_ROWS.remove(str(partition), state)
    for gauge in (LANE_LAG_ROWS, LANE_LAG_SECONDS):
        gauge.remove(str(partition))
