"""The walk of an upload: checked, reserved under its key, published whole, answered.

A crash at any point leaves a reservation that somebody settles, or nothing. The producer is started before the
reservation is written; so whoever finds the reservation abandoned, and starts another, fences this one for certain.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import structlog

from services.ingest.csv_file.validation import FileAccepted, FileRejected, Rules, TooManyRows, WrongKind, inspect
from services.ingest.file_workers import LARGE_FILE_BYTES, Workers
from services.ingest.job_events.job_draft import JobDraft
from services.ingest.job_events.prepared_job import PreparedJob, prepare
from services.ingest.keys.database import DatabaseDown
from services.ingest.keys.replay import KeyHolder
from services.ingest.keys.reservations import RENEWAL_SECONDS, Answered, KeyedRequest, Reservation, Reservations
from services.ingest.metrics import PUBLISH_SECONDS
from services.ingest.problems import busy, in_progress, rejected, unreadable
from services.ingest.publication.connection_pool import Connections
from services.ingest.publication.job_transaction import NotPublished, OutcomeUnknown, Publication, open_publication
from services.ingest.publication.jobs_topic import EndsUnknown, JobsLog
from services.ingest.schemas import SameFileAs, UploadAccepted
from services.ingest.settings import IngestSettings
from services.ingest.upload.admission import Admission
from services.ingest.upload.body import UploadedFile
from shared.contract.events import now
from shared.runtime.telemetry import current_traceparent

log = structlog.get_logger(__name__)

#: How long a small upload waits for Kafka at any one point; a 503 has to be there within two seconds.
_PATIENCE: Final = 1.2
#: How long one of many may take in all, from when its file is there: in a crowd everybody is answered soon.
_CROWD_SECONDS: Final = 1.7
#: A large upload has taken longer than that already, and a busy broker may need a moment for it.
_PATIENCE_LARGE: Final = 8.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client gets: the same bytes for the same request."""

    job_id: str
    body: bytes
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Submission:
    """Everything that it takes to turn uploads into jobs."""

    settings: IngestSettings
    workers: Workers
    reservations: Reservations
    key_holder: KeyHolder
    jobs: JobsLog
    connections: Connections
    admission: Admission

    async def submit(self, file: UploadedFile, key: str, tenant: str, allow_duplicates: bool) -> Answer:
        """The job that the file became, now or the first time.

        Raises Problem, DatabaseDown, WorkerLost, and NotPublished, OutcomeUnknown or EndsUnknown when Kafka is down.
        """
        request = KeyedRequest(tenant, key, f"{file.sha256}:{allow_duplicates}")
        if file.size > LARGE_FILE_BYTES:
            return await self._submit_large(request, file, allow_duplicates)
        # Its turn comes before any work: when there are too many, those that are turned away cost next to nothing.
        begun = asyncio.get_running_loop().time()
        async with self.admission.small() as turn:
            until = begun + _CROWD_SECONDS if turn.waited else math.inf
            try:
                return await self._submit_small(request, file, allow_duplicates, until)
            except (NotPublished, OutcomeUnknown, EndsUnknown) as error:
                if turn.is_one_of_many:
                    raise busy() from error
                raise

    async def _submit_small(
        self, request: KeyedRequest, file: UploadedFile, allow_duplicates: bool, until: float
    ) -> Answer:
        if known := await self.key_holder.answer_to(request):
            return _replayed(known)
        job = await self._prepare(file, request.tenant, allow_duplicates)
        return await self._publish_reserved(await self._reservation(request, job), job, until)

    async def _submit_large(self, request: KeyedRequest, file: UploadedFile, allow_duplicates: bool) -> Answer:
        if known := await self.key_holder.answer_to(request):
            return _replayed(known)
        # Better to hear now that Kafka is down than after a minute of reading.
        await self.jobs.refresh_now(_PATIENCE)
        job = await self._prepare(file, request.tenant, allow_duplicates)
        reservation = await self._reservation(request, job)
        async with self.admission.large():
            return await self._publish_reserved(reservation, job)

    async def check(self, file: UploadedFile, allow_duplicates: bool) -> FileAccepted | FileRejected:
        """What is wrong with the file, if anything. Raises Problem 413 and 415, WorkerLost."""
        rules = Rules(self.settings.max_csv_rows, allow_duplicates)
        verdict = await self.workers.run(file.size, inspect, file.path, rules)
        if isinstance(verdict, WrongKind | TooManyRows):
            raise unreadable(verdict)
        return verdict

    async def same_files(self, tenant: str, file_sha256: str) -> list[SameFileAs]:
        """The jobs that the same bytes became in the last 30 days. Raises DatabaseDown."""
        found = await self.reservations.same_files(tenant, file_sha256)
        return [SameFileAs(job_id=same.job_id, created_at=same.created_at) for same in found]

    async def _prepare(self, file: UploadedFile, tenant: str, allow_duplicates: bool) -> PreparedJob:
        rules = Rules(self.settings.max_csv_rows, allow_duplicates)
        draft = self._draft(file, tenant)
        outcome = await self.workers.run(file.size, prepare, file.path, rules, draft)
        if isinstance(outcome, WrongKind | TooManyRows):
            raise unreadable(outcome)
        if isinstance(outcome, FileRejected):
            raise rejected(outcome.errors)
        return outcome

    def _draft(self, file: UploadedFile, tenant: str) -> JobDraft:
        return JobDraft(
            tenant=tenant,
            job_id=str(uuid4()),
            file_name=file.name,
            file_sha256=file.sha256,
            accepted_at=now(),
            traceparent=current_traceparent(),
            batch_rows=self.settings.batch_rows,
            express_max_rows=self.settings.express_max_rows,
            partitions=self.settings.kafka_topic_partitions,
        )

    async def _reservation(self, request: KeyedRequest, job: PreparedJob) -> Reservation:
        accepted = job.accepted
        answer = UploadAccepted(
            job_id=accepted.job_id,
            total_hospitals=accepted.total_hospitals,
            batch_ids=accepted.batch_ids,
            same_file_as=await self.same_files(request.tenant, accepted.file_sha256),
        )
        partition = self.jobs.partition_of(accepted.job_id)
        return Reservation(
            request=request,
            job_id=accepted.job_id,
            file_sha256=accepted.file_sha256,
            file_name=accepted.file_name,
            jobs_partition=partition,
            jobs_offset=await self.jobs.lower_bound(partition, _PATIENCE),
            answer=answer.model_dump_json().encode(),
            reserved_at=accepted.occurred_at,
        )

    async def _publish_reserved(self, reservation: Reservation, job: PreparedJob, until: float = math.inf) -> Answer:
        """Publishes it, unless somebody else was faster with the same key: then the answer is theirs."""
        rows = job.accepted.total_hospitals
        patience = _PATIENCE if job.accepted.express else _PATIENCE_LARGE
        async with open_publication(self.connections, reservation.job_id, rows, patience, until) as publication:
            if await self.reservations.reserve(reservation):
                await self._publish(publication, job, reservation)
                log.info("job_accepted", job_id=reservation.job_id, rows=rows)
                return Answer(reservation.job_id, reservation.answer)
        if known := await self.key_holder.answer_to(reservation.request):
            return _replayed(known)
        raise in_progress()

    async def _publish(self, publication: Publication, job: PreparedJob, reservation: Reservation) -> None:
        job_id = reservation.job_id
        try:
            async with self._lease(job_id):
                with PUBLISH_SECONDS.time():
                    await publication.publish(job, reservation.jobs_partition)
        except NotPublished:
            await _or_leave_to_the_sweeper(job_id, self.reservations.free(job_id))
            raise
        except (OutcomeUnknown, asyncio.CancelledError):
            await _or_leave_to_the_sweeper(job_id, self.reservations.abandon(job_id))
            raise
        await _or_leave_to_the_sweeper(job_id, self.reservations.accept(reservation))

    @asynccontextmanager
    async def _lease(self, job_id: str) -> AsyncIterator[None]:
        renewing = asyncio.create_task(self._renew(job_id))
        try:
            yield
        finally:
            renewing.cancel()

    async def _renew(self, job_id: str) -> None:
        while True:
            await asyncio.sleep(RENEWAL_SECONDS)
            await _or_leave_to_the_sweeper(job_id, self.reservations.renew(job_id))


def _replayed(known: Answered) -> Answer:
    return Answer(known.job_id, known.answer, replayed=True)


async def _or_leave_to_the_sweeper(job_id: str, change: Coroutine[Any, Any, object]) -> None:
    """The job is what it is on Kafka. A reservation that cannot be changed now is settled when its lease is over."""
    try:
        await change
    except DatabaseDown as error:
        log.warning("reservation_left_to_sweeper", job_id=job_id, reason=str(error))
