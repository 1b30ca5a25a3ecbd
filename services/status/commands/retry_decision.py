"""Whether a requested retry is run, waits, or is ignored. Pure: no database, no clock."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from services.status.model.job_facts import JobFacts
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
    """What to do with a request.

    `offset`: of the request in its partition; `passed`: how far that partition has been projected, None where nothing
    was; `facts`, `tallies`: what is known of the job, and how many of its rows have which status, by (round, status).

    The first request for a round counts. So a round is run once, however many people ask for it on however many
    replicas. The JobFinished before the request is in the same partition. The results of its rows are in another topic,
    and may be projected later, as in a rebuild: they are waited for.
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
