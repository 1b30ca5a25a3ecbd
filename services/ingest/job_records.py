"""A checked file as Kafka records, written beside it, so that the transaction has nothing left to compute."""

import marshal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from services.ingest.batches import Batches
from services.ingest.csv_rows import Row, read_rows
from services.ingest.csv_text import open_text
from services.ingest.inspection import FileAccepted, FileRejected, Rules, TooManyRows, WrongKind, inspect
from shared.cloud_events import EventRecord, encode
from shared.events import JobAccepted, RowAccepted

SOURCE: Final = "ingest"
#: Records that are sent, and then waited for, at a time.
BUNDLE: Final = 500


@dataclass(frozen=True, slots=True)
class JobDraft:
    """What is known of a job before its file has been read."""

    tenant: str
    job_id: str
    file_name: str
    file_sha256: str
    accepted_at: datetime
    traceparent: str | None
    batch_rows: int
    express_max_rows: int


@dataclass(frozen=True, slots=True)
class PreparedJob:
    """A job of which every record is ready to be sent."""

    accepted: JobAccepted
    traceparent: str | None
    #: The rows' records, to be read with `bundles`.
    records: Path

    def acceptance(self) -> EventRecord:
        """The record that goes last."""
        return encode(self.accepted, SOURCE, self.traceparent)


def prepare(path: Path, rules: Rules, draft: JobDraft) -> PreparedJob | FileRejected | WrongKind | TooManyRows:
    """Checks the file and writes its records next to it."""
    verdict = inspect(path, rules)
    if not isinstance(verdict, FileAccepted):
        return verdict
    batches = Batches(draft.batch_rows)
    records = path.with_suffix(".records")
    with records.open("wb") as file:
        bundle: list[tuple[bytes, bytes, list[tuple[str, bytes]]]] = []
        for event in _events(path, verdict, draft, batches):
            record = encode(event, SOURCE, draft.traceparent)
            bundle.append((record.key, record.value, record.headers))
            if len(bundle) == BUNDLE:
                marshal.dump(bundle, file)
                bundle = []
        marshal.dump(bundle, file)
    return PreparedJob(_job_accepted(draft, verdict, batches), draft.traceparent, records)


def bundles(records: Path) -> Iterator[list[EventRecord]]:
    """What `prepare` wrote, in the rows' order, at most 500 at a time."""
    with records.open("rb") as file:
        while file.peek(1):
            yield [EventRecord(*fields) for fields in marshal.load(file)]  # noqa: S302 - written by us a moment ago


def _events(path: Path, verdict: FileAccepted, draft: JobDraft, batches: Batches) -> Iterator[RowAccepted]:
    with open_text(path) as text:
        for row in read_rows(text, verdict.header):
            if isinstance(row, Row):
                yield _row_accepted(row, draft, batches.batch_for(verdict.occurrences.get(row.row, 0)))


def _row_accepted(row: Row, draft: JobDraft, batch_id: str) -> RowAccepted:
    return RowAccepted(
        occurred_at=draft.accepted_at,
        tenant=draft.tenant,
        job_id=draft.job_id,
        batch_id=batch_id,
        row=row.row,
        name=row.name,
        address=row.address,
        phone=row.phone,
        columns=row.columns,
    )


def _job_accepted(draft: JobDraft, verdict: FileAccepted, batches: Batches) -> JobAccepted:
    return JobAccepted(
        occurred_at=draft.accepted_at,
        tenant=draft.tenant,
        job_id=draft.job_id,
        file_name=draft.file_name,
        file_sha256=draft.file_sha256,
        total_hospitals=verdict.total,
        batch_ids=tuple(batches.ids),
        columns=verdict.header.columns,
        delimiter=verdict.header.delimiter,
        express=verdict.total <= draft.express_max_rows,
    )
