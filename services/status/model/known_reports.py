"""A processor's last report as the tables keep it: with when it came, and since when it has been able to send. Pure."""

from pydantic import AwareDatetime

from shared.contract.events import BreakerState, ProcessorReported


class KnownReport(ProcessorReported):
    """`since`: since when `flows` has been what it is; None in reports that version 0.1.0 kept."""

    since: AwareDatetime | None = None

    @property
    def flows(self) -> bool:
        """Whether rows could be sent when it was written."""
        held = self.retry_after_until is not None and self.retry_after_until > self.occurred_at
        taken_over = any(lane.taking_over for lane in self.lanes)
        return self.breaker is BreakerState.CLOSED and not (self.paused or held or taken_over)


def known_report(report: ProcessorReported, before: KnownReport | None) -> KnownReport:
    """The report as it is to be kept. `before`: the one that it replaces."""
    known = KnownReport(**dict(report))
    if before is not None and before.since is not None and before.flows == known.flows:
        return known.model_copy(update={"since": before.since})
    return known.model_copy(update={"since": report.occurred_at})
