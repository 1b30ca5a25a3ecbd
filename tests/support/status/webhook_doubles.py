"""Receivers of webhooks: fakes that fail or hang, and a real one; a clock that a test moves; JobFinished as read."""

import asyncio
import heapq
import json
from collections import namedtuple
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

from aiohttp import web
from standardwebhooks import Webhook

from services.status.webhooks.job_ends import JobEnd
from shared.contract.cloud_events import encode
from shared.contract.events import JobFinished, JobOutcome
from shared.runtime.kafka.publisher import KafkaUnavailable
from tests.support.status.job_histories import JobHistory, at

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = b"1\xf2\x90\xf6\xbf\x06)\x8a\xabO\x08\xd4<?\x08,\xf6H\xa3b\xda-\xa4\xb0"

Record = namedtuple("Record", "topic partition offset key value headers")


def finished(job_id: str = "job-1", round_: int = 1, tenant: str = "north", total: int = 1) -> JobFinished:
    """The end of a job whose rows failed."""
    job = JobHistory(total=total, job_id=job_id, tenant=tenant)
    return job.finished(JobOutcome.NONE_CREATED, round_=round_)


def record_of(event: JobFinished, offset: int = 0) -> Record:
    """The record that it stands in."""
    encoded = encode(event, "status")
    return Record("hospital.jobs", 0, offset, encoded.key, encoded.value, tuple(encoded.headers))


class SimulatedTime:
    """A clock and a sleep. Time passes only in `advance`."""

    def __init__(self) -> None:
        self.moment = at(4)
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._numbers = count()

    def clock(self) -> datetime:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        sleeper = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.moment + timedelta(seconds=seconds), next(self._numbers), sleeper))
        await sleeper

    async def advance(self, seconds: float) -> None:
        """Lets so much time pass, and everything happen that is due meanwhile, in order."""
        await self.settle()
        end = self.moment + timedelta(seconds=seconds)
        while self._sleepers and self._sleepers[0][0] <= end:
            self.moment, _, sleeper = heapq.heappop(self._sleepers)
            if not sleeper.done():
                sleeper.set_result(None)
            await self.settle()
        self.moment = end

    async def settle(self) -> None:
        """Everything that needs no time happens."""
        for _ in range(50):
            await asyncio.sleep(0)


@dataclass
class FakeReceiver:
    """Takes what comes, except that `answers` says otherwise for an address: a reason, or an event to hang on."""

    time: SimulatedTime
    answers: dict[str, object] = field(default_factory=dict)
    tries: list[tuple[str, float, str]] = field(default_factory=list)
    messages: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> str | None:
        self.tries.append((url, (self.time.moment - at(4)).total_seconds(), headers["webhook-id"]))
        self.messages.append((body, headers))
        answer = self.answers.get(url)
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            return "no answer"
        return answer

    def times(self, url: str) -> list[float]:
        """When an address was tried, in seconds after the job's end."""
        return [moment for tried, moment, _ in self.tries if tried == url]


@dataclass
class FakeDeadLetters:
    """Keeps them; fails as often as it is told."""

    failures: int = 0
    reasons: list[str] = field(default_factory=list)
    records: list[object] = field(default_factory=list)

    async def put(self, record: object, reason: str) -> None:
        if self.failures:
            self.failures -= 1
            raise KafkaUnavailable("no answer")
        self.reasons.append(reason)
        self.records.append(record)


class EndedJobs:
    """Every job has ended at the moment of its event; not one in `running`."""

    def __init__(self) -> None:
        self.running: set[str] = set()

    async def end_of(self, job_id: str, round_: int, gone_from: datetime) -> JobEnd:
        if job_id in self.running:
            await asyncio.Event().wait()
        return JobEnd(gone_from - timedelta(days=1))


class PlainStatuses:
    """A status that says which job it is. Jobs in `gone` are not known. `faults`: so often asking is an error."""

    def __init__(self) -> None:
        self.gone: set[str] = set()
        self.asked: list[str] = []
        self.faults = 0

    async def body(self, event: JobFinished) -> bytes | None:
        self.asked.append(event.job_id)
        if self.faults:
            self.faults -= 1
            raise RuntimeError("cannot perform operation: another operation is in progress")
        return None if event.job_id in self.gone else json.dumps({"data": {"job_id": event.job_id}}).encode()


@dataclass
class RealReceiver:
    """A server that checks each signature with the package of Standard Webhooks. It answers `status` of a path."""

    url: str
    status: dict[str, int] = field(default_factory=dict)
    taken: list[dict[str, object]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        status = self.status.get(request.path, 204)
        if status == 0:
            await asyncio.sleep(3_600)
        body = await request.read()
        message = Webhook(SECRET).verify(body, dict(request.headers))  # raises when the signature is wrong
        if status < 300:
            self.taken.append(message)
            self.ids.append(request.headers["webhook-id"])
        return web.Response(status=status, headers={"Location": f"{self.url}/elsewhere"} if status == 302 else None)


@asynccontextmanager
async def real_receiver() -> AsyncIterator[RealReceiver]:
    """A receiver on a free port."""
    receiver = RealReceiver("")
    app = web.Application()
    app.router.add_post("/{path:.*}", receiver.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield receiver
    finally:
        await runner.cleanup()
