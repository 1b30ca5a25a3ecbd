"""Status: the tables are what the events say, each round runs once, and every finished round is told."""

from tests.simulation.put_back.fault import Change, Fault

_DECISION = "services/status/commands/retry_decision.py"
_PARTITION = "services/status/commands/retry_partition.py"

FAULTS = (
    Fault(
        "each_click_is_a_round",
        "two requests for one retry are both carried out",
        "Rule_FirstRequestCounts",
        "projections",
        (
            Change(
                _DECISION,
                "    if (facts.requested_round, facts.requested_offset) != (request.round, offset):\n"
                "        return RetryDecision.IGNORE\n",
                "",
            ),
        ),
    ),
    Fault(
        "retry_offset_apart",
        "the offset of a retry is committed after its rows, by itself",
        "Rule_OneTransaction",
        "projections",
        (
            Change(
                _PARTITION,
                "        await self._commit(progress, chunk.records)\n",
                "        await self._commit(self._committed, chunk.records)\n"
                "        await self._commit(progress, [])\n",
            ),
        ),
    ),
)
