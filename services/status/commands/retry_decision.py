"""What the owner of a partition does with a request for a retry. Pure: no database, no clock."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from services.status.model.job_state import JobFacts
from services.status.model.row_results import RowStatus
from shared.contract.events import JobRetryRequested

_OUTCOMES: Final = frozenset(RowStatus)


class RetryDecision(Enum):
    """What to do now."""

    RUN = auto()
    WAIT = auto()  # the projection does not know enough yet
    IGNORE = auto()  # the same request again, or one that makes no sense


def decide_retry(
    request: JobRetryRequested,
    offset: int,
    passed: int | None,
    facts: JobFacts | None,
    tallies: Mapping[tuple[int, str], int],
) -> RetryDecision:
    """`offset`: where the request stands; `passed`: how far its partition has been projected; the rest is the job's.

    The first request for a round is the one that counts, so however many people press the button at once, and on
    however many replicas, a round is run once. The finish of the round before stands in the same partition before the
    request, but the results of its rows in another topic, which may be projected later, as in a rebuild.
    """
    if passed is None or passed <= offset:
        return RetryDecision.WAIT
    if facts is None or facts.total_hospitals is None:
        return RetryDecision.IGNORE
    if (facts.requested_round, facts.requested_offset) != (request.round, offset):
        return RetryDecision.IGNORE
    if facts.finished_round != request.round - 1:
        return RetryDecision.IGNORE
    known = sum(
        hospitals
        for (round_, status), hospitals in tallies.items()
        if status in _OUTCOMES and (status == RowStatus.CREATED or round_ >= request.round - 1)
    )
    return RetryDecision.RUN if known >= facts.total_hospitals else RetryDecision.WAIT
