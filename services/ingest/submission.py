"""An upload from its file to its answer: key looked up, file checked, key reserved, job published.

A crash at any point leaves nothing, or a reservation that recovery settles. The transaction is opened before the key
is reserved. So whoever finds the reservation abandoned opens a later transaction, which fences this one.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from uuid import uuid4

import structlog

from services.ingest.answers import already_created, columns_read
from services.ingest.created_rows.known_rows import KnownRows
from services.ingest.csv_file.file_kind import FileKind, NotCsv, file_kind
from services.ingest.csv_file.header import HeaderRequest
from services.ingest.csv_file.problem_file import write_errors
from services.ingest.csv_file.validation import FileAccepted, FileRejected, Rules, read_sheet
from services.ingest.csv_file.workbook import Sheet
from services.ingest.file_workers import LARGE_FILE_BYTES, FileWorkers
from services.ingest.job_events.job_draft import JobDraft
from services.ingest.job_events.job_validation import NoJob, validate_job
from services.ingest.job_events.prepared_job import PreparedJob, prepare
from services.ingest.keys.lease import RENEWAL_SECONDS, Lease
from services.ingest.keys.replay import Replays
from services.ingest.keys.reservations import Answered, KeyedRequest, Reservation, Reservations
from services.ingest.metrics import PUBLISH_SECONDS
from services.ingest.problems import busy, in_progress, rejected, unsuitable
from services.ingest.publication.connection_pool import ConnectionPool
from services.ingest.publication.job_transaction import JobTransaction, NotPublished, OutcomeUnknown, open_transaction
from services.ingest.publication.jobs_topic import EndsUnknown, JobsTopic
from services.ingest.publication.upload_budgets import (
    UPLOAD_TIMEOUTS,
    LargeUploadBudget,
    RenewedBudget,
    UploadBudget,
    UploadTimeouts,
)
from services.ingest.row_matching.created_before import CreatedRows
from services.ingest.schemas import SameFileAs, UploadAccepted
from services.ingest.settings import IngestSettings
from services.ingest.upload.admission import Admission
from services.ingest.upload.body import UploadedFile
from services.ingest.upload.parameters import UploadParameters
from shared.contract.events import now
from shared.runtime.databases import DatabaseDown
from shared.runtime.http.answer_budget import AnswerBudget
from shared.runtime.telemetry import current_traceparent

log = structlog.get_logger(__name__)

WORKBOOKS_AT_ONCE: Final = 2
#: How long the rows that were created before are waited for. Then only what is known of them counts.
_KNOWN_SECONDS: Final = 0.5
_KNOWN_SECONDS_OF_LARGE: Final = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client gets: the same bytes for the same request."""

    job_id: str
    body: bytes
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Submission:
    """Everything that is needed to turn uploads into jobs. `clock`: seconds, never going back."""

    settings: IngestSettings
    workers: FileWorkers
    reservations: Reservations
    replays: Replays
    jobs: JobsTopic
    pool: ConnectionPool
    known_rows: KnownRows
    admission: Admission
    timeouts: UploadTimeouts = UPLOAD_TIMEOUTS
    renewal_seconds: float = RENEWAL_SECONDS
    transaction_type: type[JobTransaction] = JobTransaction
    clock: Callable[[], float] = time.monotonic
    #: Each process that reads one may take over a gigabyte.
    workbooks: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(WORKBOOKS_AT_ONCE))

    async def submit(self, file: UploadedFile, key: str, tenant: str, parameters: UploadParameters) -> Answer:
        """The job that the file became, now or the first time.

        Raises Problem, DatabaseDown, WorkerLost, and NotPublished, OutcomeUnknown or EndsUnknown when Kafka is down.
        """
        request = KeyedRequest(tenant, key, f"{file.sha256}:{parameters.fingerprint}")
        rules = self._rules(parameters)
        sheet = await LargeUploadBudget(self.pool, self.timeouts).compute(self._sheet(file, rules))
        if isinstance(sheet, FileRejected):
            raise rejected(sheet)
        size = _size(file, sheet)
        async with self._admitted(size) as budget:
            if known := await self.replays.answer_to(request, budget):
                return _replayed(known)
            rules = replace(rules, created=await budget.compute(self._created(file, tenant, size)))
            work = self.workers.run(size, prepare, file.path, rules, self._draft(file, tenant, parameters), sheet)
            job = _prepared(await budget.compute(work))
            reservation = await self._reservation(request, job, budget)
            async with self._publishing_slot(size, budget), self._transaction(reservation, job, budget) as transaction:
                if await self.reservations.reserve(reservation, budget.remaining):
                    return await self._published(transaction, job, reservation)
            return await self._answer_of_the_faster(request, budget)

    async def check(
        self, file: UploadedFile, tenant: str, parameters: UploadParameters, problem_file: Path | None = None
    ) -> FileAccepted | FileRejected:
        """What is wrong with the file; `problem_file` gets all of it. Raises Problem 413 and 415, WorkerLost."""
        rules = replace(self._rules(parameters), problem_file=problem_file)
        draft = self._draft(file, tenant, parameters)
        sheet = await self._sheet(file, rules)
        if isinstance(sheet, FileRejected):
            if problem_file:
                write_errors(problem_file, sheet.errors)
            return sheet
        size = _size(file, sheet)
        rules = replace(rules, created=await self._created(file, tenant, size))
        result = await self.workers.run(size, validate_job, file.path, rules, draft, sheet)
        if isinstance(result, FileAccepted | FileRejected):
            return result
        raise unsuitable(result)

    async def same_files(self, tenant: str, file_sha256: str, budget: AnswerBudget) -> list[SameFileAs]:
        """The tenant's jobs of the same bytes in the last 30 days. Raises DatabaseDown."""
        found = await self.reservations.same_files(tenant, file_sha256, budget.remaining)
        return [SameFileAs(job_id=same.job_id, created_at=same.created_at) for same in found]

    async def _sheet(self, file: UploadedFile, rules: Rules) -> Sheet | FileRejected | None:
        """The sheet of a workbook, or why it cannot be read; None for a text. Raises Problem 413 and 415."""
        async with self.workbooks if _is_workbook(file.path) else nullcontext():
            sheet = await read_sheet(file.path, rules)
        if sheet is None or isinstance(sheet, Sheet | FileRejected):
            return sheet
        raise unsuitable(sheet)

    @asynccontextmanager
    async def _admitted(self, size: int) -> AsyncIterator[UploadBudget]:
        """How long the upload may wait. A small one takes a slot first: to refuse one of too many costs little."""
        if size > LARGE_FILE_BYTES:
            yield LargeUploadBudget(self.pool, self.timeouts)
            return
        budget = UploadBudget(self.timeouts.busy_seconds, self.clock)
        async with self.admission.small(budget) as slot:
            try:
                yield budget if slot.waited else RenewedBudget(self.timeouts.small_seconds, self.clock)
            except (NotPublished, OutcomeUnknown, EndsUnknown, DatabaseDown) as error:
                if slot.others_were_answered:
                    raise busy() from error
                raise

    def _publishing_slot(self, size: int, budget: UploadBudget) -> AbstractAsyncContextManager[object]:
        """A large upload takes a slot when its job is ready; a small one has had one from the beginning."""
        return self.admission.large(budget) if size > LARGE_FILE_BYTES else nullcontext()

    def _rules(self, parameters: UploadParameters) -> Rules:
        return Rules(
            max_rows=self.settings.max_csv_rows,
            allow_duplicates=parameters.allow_duplicates,
            repeat_created=parameters.repeat_created,
            strict=parameters.strict,
            header=HeaderRequest(parameters.mapping, parameters.header_row),
            encoding=parameters.encoding,
            sheet=parameters.sheet,
            corrects=parameters.corrects,
        )

    async def _created(self, file: UploadedFile, tenant: str, size: int) -> CreatedRows:
        """What the tenant's jobs have created, as far as it is known soon."""
        if size > LARGE_FILE_BYTES:
            return await self.known_rows.saved(tenant, _KNOWN_SECONDS_OF_LARGE, file.path.with_suffix(".created"))
        return await self.known_rows.of(tenant, _KNOWN_SECONDS)

    def _draft(self, file: UploadedFile, tenant: str, parameters: UploadParameters) -> JobDraft:
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
            max_failures=parameters.max_failures,
        )

    async def _reservation(self, request: KeyedRequest, job: PreparedJob, budget: AnswerBudget) -> Reservation:
        accepted = job.accepted
        answer = UploadAccepted(
            job_id=accepted.job_id,
            total_hospitals=accepted.total_hospitals,
            batch_ids=accepted.batch_ids,
            mapping=columns_read(job.header),
            warnings_total=job.warnings_total,
            same_file_as=await self.same_files(request.tenant, accepted.file_sha256, budget),
            already_created=already_created(job.already_created),
            corrects=accepted.corrects,
        )
        partition = self.jobs.partition_of(accepted.job_id)
        return Reservation(
            request=request,
            job_id=accepted.job_id,
            file_sha256=accepted.file_sha256,
            file_name=accepted.file_name,
            jobs_partition=partition,
            jobs_offset=await self.jobs.lower_bound(partition, budget.remaining),
            answer=answer.model_dump_json().encode(),
            reserved_at=accepted.occurred_at,
        )

    def _transaction(
        self, reservation: Reservation, job: PreparedJob, budget: AnswerBudget
    ) -> AbstractAsyncContextManager[JobTransaction]:
        rows = job.accepted.total_hospitals
        return open_transaction(self.pool, reservation.job_id, rows, budget, self.transaction_type)

    async def _published(self, transaction: JobTransaction, job: PreparedJob, reservation: Reservation) -> Answer:
        """Publishes the job, and stores what became of it."""
        lease = Lease(self.reservations, reservation, self.renewal_seconds)
        try:
            async with lease.renewed():
                with PUBLISH_SECONDS.time():
                    await transaction.publish(job, reservation.jobs_partition)
        except NotPublished:
            await lease.free()
            raise
        except (OutcomeUnknown, asyncio.CancelledError):
            await lease.abandon()
            raise
        await lease.accept()
        log.info("job_accepted", job_id=reservation.job_id, rows=job.accepted.total_hospitals)
        return Answer(reservation.job_id, reservation.answer)

    async def _answer_of_the_faster(self, request: KeyedRequest, budget: AnswerBudget) -> Answer:
        """For one of several uploads of the same key at once, when another has reserved it. Raises Problem 409."""
        if known := await self.replays.answer_to(request, budget):
            return _replayed(known)
        raise in_progress()


def _is_workbook(path: Path) -> bool:
    """Whether a process of its own reads it. Reads the first bytes of a file that was just written."""
    try:
        return file_kind(path) is FileKind.WORKBOOK
    except NotCsv:
        return False


def _size(file: UploadedFile, sheet: Sheet | None) -> int:
    """How many bytes there are to be read as text."""
    return sheet.path.stat().st_size if sheet else file.size


def _prepared(result: PreparedJob | NoJob) -> PreparedJob:
    if isinstance(result, PreparedJob):
        return result
    if isinstance(result, FileRejected):
        raise rejected(result)
    raise unsuitable(result)


def _replayed(known: Answered) -> Answer:
    return Answer(known.job_id, known.answer, replayed=True)
