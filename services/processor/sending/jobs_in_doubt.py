"""Which jobs have rows in doubt, as the processor reports them. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

from services.processor.sending.batch_in_doubt import DoubtCount
from shared.contract.events import JobInDoubt

#: Jobs in one report. A report is one record, and rows of more jobs may be in doubt.
MAX_JOBS: Final = 50


def jobs_in_doubt(
    counts: Iterable[DoubtCount], not_before: float, moment: Callable[[float], datetime]
) -> tuple[JobInDoubt, ...]:
    """The jobs with the most rows in doubt, from the counts of their batches.

    `not_before`: when the next look-up of any batch may begin (monotonic). `moment`: the wall clock's time then.
    """
    rows: Counter[str] = Counter()
    until: dict[str, float] = {}
    for job_id, count, last_at in counts:
        rows[job_id] += count
        until[job_id] = max(until.get(job_id, not_before), last_at)
    return tuple(
        JobInDoubt(job_id=job_id, rows=count, until=moment(until[job_id]))
        for job_id, count in rows.most_common(MAX_JOBS)
    )
