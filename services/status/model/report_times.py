"""When processors reported, by our own clock. Pure: no database, no clock.

A processor's clock may be wrong by hours, and Kafka keeps the times that its producers give. So a report counts from
the moment when this service reads it. Reports that are read again, as after a restart, are from before: of them only
their processor knows when, and the future is left out.
"""

from datetime import datetime

from shared.contract.events import ProcessorReported


def as_received(report: ProcessorReported, at: datetime, *, live: bool) -> ProcessorReported:
    """The report with its times by our clock, which says `at`. `live`: everything before it had been read already."""
    received_at = at if live else min(report.occurred_at, at)
    ahead = report.occurred_at - received_at

    def ours(moment: datetime | None) -> datetime | None:
        return None if moment is None else moment - ahead

    in_doubt = tuple(each.model_copy(update={"until": ours(each.until)}) for each in report.jobs_in_doubt)
    return report.model_copy(
        update={
            "occurred_at": received_at,
            "retry_after_until": ours(report.retry_after_until),
            "next_try_at": ours(report.next_try_at),
            "jobs_in_doubt": in_doubt,
        }
    )
