"""Reads what all processors report, in the one order of the topic: the rate slots are granted there.

Every processor with a rate limit reads the end of `hospital.processors`, and all that comes, without a group.
"""

import time
from collections.abc import Callable, Iterable

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from services.processor.limits.rate_limit import RateLimit
from shared.contract.cloud_events import UndecodableEvent, decode
from shared.contract.events import ProcessorReported

POLL_MS = 500
#: So many records before the end are read first. Older ones say nothing of the present: slots are given away for less
#: than a minute, and fifty processors write hardly a thousand reports in one.
RECENT_RECORDS = 5000
#: If nothing could be read for so long, no call can be made: readiness says so.
UNREAD_SECONDS = 30.0


class ReportReader:
    """Gives every report to the rate limit. `clock` is monotonic, `wall_clock` that of the reports; in seconds."""

    def __init__(
        self,
        rate_limit: RateLimit,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._rate_limit = rate_limit
        self._clock = clock
        self._wall_clock = wall_clock
        self._since = clock()
        #: When the last poll returned (monotonic).
        self.last_poll: float | None = None

    async def check(self) -> None:
        """Raises RuntimeError when the topic cannot be read: without it no slot can be used."""
        since = self._since if self.last_poll is None else self.last_poll
        if (seconds := self._clock() - since) > UNREAD_SECONDS:
            raise RuntimeError(f"hospital.processors could not be read for {seconds:.0f} s: nothing is sent without it")

    async def run(self, consumer: AIOKafkaConsumer) -> None:
        """Reads what is recent, and goes on until cancelled.

        Raises one of KAFKA_FAILURES when the consumer has to be made anew.
        """
        [partition] = consumer.assignment()
        beginning = (await consumer.beginning_offsets([partition]))[partition]
        # What stands there now is old: its processors may have ended.
        new_from = (await consumer.end_offsets([partition]))[partition]
        consumer.seek(partition, max(beginning, new_from - RECENT_RECORDS))
        while True:
            for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                self.apply(records, new_from)
            self.last_poll = self._clock()

    def apply(self, records: Iterable[ConsumerRecord], new_from: int) -> None:
        """Applies records of `hospital.processors`. What cannot be decoded changes nothing.

        Of records before the offset `new_from` only their own clock says how old they are.
        """
        for record in records:
            try:
                event = decode(record.headers, record.value)
            except UndecodableEvent:
                continue  # the status service writes it to the dead letters
            if isinstance(event, ProcessorReported):
                old = record.offset < new_from
                age = max(self._wall_clock() - event.occurred_at.timestamp(), 0.0) if old else 0.0
                self._rate_limit.apply(event, age)
