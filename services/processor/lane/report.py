"""A lane's counts and lag, as its processor reports them. Pure: times are of the wall clock, in seconds."""

from collections.abc import Mapping

from services.processor.lane.lane_rows import LaneRows
from services.processor.offsets.lane_offsets import LaneOffsets
from shared.contract.events import LaneReport
from shared.contract.topics import Topics


def lane_report(
    partition: int,
    topics: Topics,
    rows: LaneRows,
    offsets: LaneOffsets,
    end_offsets: Mapping[str, int],
    now: float,
    *,
    taking_over: bool = False,
) -> LaneReport:
    """The report of one lane. `end_offsets`: the ends of its partitions of rows, by topic."""
    oldest = min((row.delivered.received_at for row in rows), default=now)
    committed = offsets.to_commit
    lags = {topic: max(end_offsets.get(topic, 0) - committed[topic], 0) for topic in topics.rows}
    return LaneReport(
        partition=partition,
        in_flight=rows.in_flight,
        waiting=max(len(rows) - rows.in_flight, 0),  # a lane that has ended dropped its rows before its last call ends
        window_used=sum(offsets.held(topic) for topic in topics.rows),
        lag_rows=sum(lags.values()),
        lag_express_rows=lags[topics.rows_express],
        lag_seconds=round(max(now - oldest, 0.0), 1),
        taking_over=taking_over,
    )
