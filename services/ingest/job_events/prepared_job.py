"""A checked file as Kafka records, written beside it, so that the transaction has nothing left to compute."""

import marshal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from services.ingest.csv_file.rows import Row, read_rows
from services.ingest.csv_file.text import reopen_text
from services.ingest.csv_file.validation import FileAccepted, FileRejected, Rules, TooManyRows, WrongKind, inspect
from services.ingest.job_events.batches import Batches
from services.ingest.job_events.job_draft import JobDraft
from services.ingest.job_events.row_encoder import SOURCE, RowHeaders, RowRecord, RowRecords
from services.ingest.job_events.row_partitioner import RowPartitions
from shared.contract.cloud_events import EventRecord, encode
from shared.contract.events import JobAccepted

#: What the values of one bundle have together, unless its first alone has more.
BUNDLE_BYTES: Final = 96 * 1024


class Bundle(NamedTuple):
    """Rows of one partition, in the file's order: what is sent as one batch of Kafka's."""

    partition: int
    records: list[RowRecord]


@dataclass(frozen=True, slots=True)
class PreparedJob:
    """A job of which every record is ready to be sent."""

    accepted: JobAccepted
    traceparent: str | None
    #: The rows' records, to be read with `bundles`.
    records: Path
    headers: RowHeaders

    def acceptance(self) -> EventRecord:
        """The record that goes last."""
        return encode(self.accepted, SOURCE, self.traceparent)


def prepare(path: Path, rules: Rules, draft: JobDraft) -> PreparedJob | FileRejected | WrongKind | TooManyRows:
    """Checks the file and writes its records next to it."""
    verdict = inspect(path, rules)
    if not isinstance(verdict, FileAccepted):
        return verdict
    batches, rows = Batches(draft.batch_rows), RowRecords(draft, verdict.header)
    records = path.with_suffix(".records")
    with records.open("wb") as file:
        bundling = Bundling(file, RowPartitions(rows.beginning, draft.partitions))
        for row in _rows(path, verdict):
            bundling.add(rows.record(row, batches.batch_for(verdict.occurrences.get(row.row, 0))))
        bundling.finish()
    return PreparedJob(_job_accepted(draft, verdict, batches), draft.traceparent, records, rows.headers)


def bundles(records: Path) -> Iterator[Bundle]:
    """What `prepare` wrote."""
    with records.open("rb") as file:
        while file.peek(1):
            partition, bundle = marshal.load(file)  # noqa: S302 - written by us a moment ago
            yield Bundle(partition, [RowRecord(*record) for record in bundle])


class Bundling:
    """Writes records to a file, those of a partition together."""

    def __init__(self, file: BinaryIO, partitions: RowPartitions) -> None:
        self._file = file
        self._partition_of = partitions.of
        self._open: dict[int, list[tuple[bytes, bytes]]] = {}
        self._bytes: dict[int, int] = {}

    def add(self, record: RowRecord) -> None:
        """The next record of the file."""
        partition = self._partition_of(record.key)
        bundle, size = self._open.get(partition), len(record.value)
        if bundle is None or self._bytes[partition] + size > BUNDLE_BYTES:
            self._write(partition)
            bundle = self._open[partition] = []
            self._bytes[partition] = 0
        bundle.append((record.key, record.value))
        self._bytes[partition] += size

    def finish(self) -> None:
        """No record follows."""
        for partition in list(self._open):
            self._write(partition)

    def _write(self, partition: int) -> None:
        if bundle := self._open.pop(partition, None):
            marshal.dump((partition, bundle), self._file)


def _rows(path: Path, verdict: FileAccepted) -> Iterator[Row]:
    with reopen_text(path) as text:
        for row in read_rows(text, verdict.header):
            if isinstance(row, Row):
                yield row


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
