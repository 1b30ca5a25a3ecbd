"""Delivers messages, each on its own: one that is not taken keeps no other waiting, nor does one that hangs.

read ──job has finished──> try ──taken──────────────────────────────────────> done
                            ^ └──not taken: 5 s, 30 s, 2 min, 10 min, hourly ─┐
                            └──────────────────────────────────────────────<──┤
                                                   24 h after the job's end: dead letter ──> done
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol
from urllib.parse import urlsplit

import structlog
from aiokafka import ConsumerRecord

from services.status.metrics import WEBHOOK_TRIES, WEBHOOKS_PENDING
from services.status.model.timestamps import Clock
from services.status.webhooks.job_ends import JobEnds
from services.status.webhooks.receiver import Receiver
from services.status.webhooks.retry_schedule import GIVE_UP_SECONDS, delay_after
from services.status.webhooks.signature import signed_headers
from shared.contract.events import JobFinished
from shared.runtime.http.problems import Problem
from shared.runtime.kafka.publisher import KafkaUnavailable

log = structlog.get_logger(__name__)

#: A receiver is posted so many messages at a time.
_AT_ONCE: Final = 4
_AGAIN_SECONDS: Final = 5.0
#: So many messages of a tenant wait for one address at most, so that a receiver that is away for a day fills no memory.
MOST_PENDING: Final = 5_000
_GIVE_UP: Final = timedelta(seconds=GIVE_UP_SECONDS)

Sleep = Callable[[float], Awaitable[None]]


class DeadLetterWriter(Protocol):
    """Where messages go that nobody took."""

    async def put(self, record: ConsumerRecord, reason: str) -> None:
        """Returns when the dead letter is written. Raises KafkaUnavailable."""


@dataclass(frozen=True, slots=True)
class Message:
    """A JobFinished, and the record that it came in."""

    event: JobFinished
    record: ConsumerRecord


class Statuses(Protocol):
    """The answers about jobs."""

    async def body(self, event: JobFinished) -> bytes | None:
        """What is posted now; None when the job is gone. Raises a 503 problem when the database is away."""


class _JobGone(Exception):
    """There is no status to post: the dead letter follows."""


class Deliveries:
    """Delivers to every address of a message's tenant. `addresses`: of each tenant; `key` signs."""

    def __init__(
        self,
        addresses: Mapping[str, Sequence[str]],
        key: bytes,
        statuses: Statuses,
        job_ends: JobEnds,
        receiver: Receiver,
        dead_letters: DeadLetterWriter,
        clock: Clock,
        sleep: Sleep = asyncio.sleep,
        most_pending: int = MOST_PENDING,
    ) -> None:
        self._addresses = addresses
        self._key = key
        self._statuses = statuses
        self._job_ends = job_ends
        self._receiver = receiver
        self._dead_letters = dead_letters
        self._clock = clock
        self._sleep = sleep
        self._most_pending = most_pending
        #: Of a tenant and an address: messages whose job has ended.
        self._pending: Counter[tuple[str, str]] = Counter()
        self._slots = {url: asyncio.Semaphore(_AT_ONCE) for urls in addresses.values() for url in urls}

    def concerns(self, tenant: str) -> bool:
        """Whether anybody is told of this tenant's jobs."""
        return bool(self._addresses.get(tenant))

    async def deliver(self, message: Message) -> None:
        """Returns when every address has taken the message, or its dead letter is written."""
        with WEBHOOKS_PENDING.labels(message.event.tenant).track_inprogress():
            await self._deliver_to_all(message)

    async def _deliver_to_all(self, message: Message) -> None:
        event = message.event
        end = await self._job_ends.end_of(event.job_id, event.round, event.occurred_at + _GIVE_UP)
        give_up_at = (end.at or event.occurred_at) + _GIVE_UP
        async with asyncio.TaskGroup() as every:
            for url in self._addresses[event.tenant]:
                every.create_task(self._deliver_to(url, message, give_up_at.timestamp()))

    async def _deliver_to(self, url: str, message: Message, give_up_at: float) -> None:
        waiting = message.event.tenant, url
        if self._pending[waiting] >= self._most_pending:
            await self._give_up(url, message, f"{self._most_pending} older messages for {_host(url)} were not taken")
            return
        self._pending[waiting] += 1
        try:
            await self._try_until(give_up_at, url, message)
        finally:
            self._pending[waiting] -= 1

    async def _try_until(self, give_up_at: float, url: str, message: Message) -> None:
        tries = 0
        while True:
            try:
                reason = await self._try(url, message)
            except _JobGone:
                await self._give_up(url, message, "the job was deleted before anybody took its end")
                return
            if reason is None:
                WEBHOOK_TRIES.labels("delivered").inc()
                return
            tries += 1
            delay = delay_after(tries)
            WEBHOOK_TRIES.labels("failed").inc()
            if self._clock().timestamp() + delay > give_up_at:
                await self._give_up(url, message, f"webhook not delivered to {_host(url)} for 24 h: {reason}")
                return
            log.warning(
                "webhook_failed",
                tenant=message.event.tenant,
                job_id=message.event.job_id,
                round=message.event.round,
                receiver=_host(url),
                reason=reason,
                tries=tries,
                next_in_seconds=delay,
            )
            await self._sleep(delay)

    async def _try(self, url: str, message: Message) -> str | None:
        """Why it was not taken; None when it was. Raises _JobGone."""
        async with self._slots[url]:
            # Only now: it is the last status, and no body is kept while its message waits.
            body = await self._body(message)
            stamp = int(self._clock().timestamp())
            headers = signed_headers(self._key, message.event.event_id, stamp, body)
            headers |= {"content-type": "application/json", "user-agent": "hospital-bulk-webhooks"}
            return await self._receiver.post(url, body, headers)

    async def _body(self, message: Message) -> bytes:
        while True:
            try:
                body = await self._statuses.body(message.event)
            except Problem as problem:
                log.warning("webhooks_wait", reason=problem.detail)
            except Exception as error:  # begun anew, the message would come again to those who have taken it
                log.error("webhook_fault", job_id=message.event.job_id, exc_info=error)
            else:
                if body is None:
                    raise _JobGone
                return body
            await self._sleep(_AGAIN_SECONDS)

    async def _give_up(self, url: str, message: Message, reason: str) -> None:
        while True:
            try:
                await self._dead_letters.put(message.record, reason)
            except KafkaUnavailable as error:
                log.warning("webhooks_wait", reason=str(error))
                await self._sleep(_AGAIN_SECONDS)
            else:
                break
        WEBHOOK_TRIES.labels("given_up").inc()
        log.error("webhook_given_up", job_id=message.event.job_id, receiver=_host(url), reason=reason)


def _host(url: str) -> str:
    """All that is shown of an address: its path and its query may be secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
