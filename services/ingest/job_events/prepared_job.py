"""Turns a valid file into Kafka records on disk, so that nothing has to be computed during the transaction."""

import marshal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from services.ingest.csv_file.header import Header
from services.ingest.csv_file.rows import Row, RowReader
from services.ingest.csv_file.validation import FileAccepted, Rules
from services.ingest.csv_file.workbook import Sheet
from services.ingest.job_events.batches import Batches
from services.ingest.job_events.job_draft import JobDraft
from services.ingest.job_events.job_validation import NoJob, job_accepted, validate_job
from services.ingest.job_events.row_encoder import SOURCE, RowEncoder, RowHeaders, RowRecord
from services.ingest.job_events.row_partitioner import RowPartitioner
from services.ingest.row_matching.created_before import AlreadyCreated
from shared.contract.cloud_events import EventRecord, encode
from shared.contract.events import JobAccepted

#: Most bytes of one bundle's values. A bundle of a single row may have more.
BUNDLE_BYTES: Final = 96 * 1024


class Bundle(NamedTuple):
    """Rows of one partition in the order of the file. It is sent as one Kafka batch."""

    partition: int
    records: list[RowRecord]


@dataclass(frozen=True, slots=True)
class PreparedJob:
    """A job whose records are all ready to be sent."""

    accepted: JobAccepted
    traceparent: str | None
    #: The file with the records of the rows; read it with `bundles`.
    records: Path
    headers: RowHeaders
    header: Header
    warnings_total: int
    already_created: AlreadyCreated

    def job_accepted_record(self) -> EventRecord:
        """The record of JobAccepted, which is sent after every row."""
        return encode(self.accepted, SOURCE, self.traceparent)


def prepare(path: Path, rules: Rules, draft: JobDraft, sheet: Sheet | None = None) -> PreparedJob | NoJob:
    """Validates the file and writes the records of its rows to a file next to it. `sheet`: as in `validate_job`."""
    valid = validate_job(path, rules, draft, sheet)
    if not isinstance(valid, FileAccepted):
        return valid
    batches, encoder = Batches(draft.batch_rows), RowEncoder(draft)
    records = path.with_suffix(".records")
    with records.open("wb") as file:
        writer = BundleWriter(file, RowPartitioner(encoder.key_prefix, draft.partitions))
        for row in _rows(valid):
            writer.add(encoder.record(row, batches.batch_for(valid.occurrences.get(row.row, 0))))
        writer.finish()
    return PreparedJob(
        accepted=job_accepted(draft, valid, batches.ids),
        traceparent=draft.traceparent,
        records=records,
        headers=encoder.headers,
        header=valid.header,
        warnings_total=valid.warnings_total,
        already_created=valid.already_created,
    )


def bundles(records: Path) -> Iterator[Bundle]:
    """The bundles that `prepare` wrote to this file."""
    with records.open("rb") as file:
        while file.peek(1):
            partition, bundle = marshal.load(file)  # noqa: S302 - written by us a moment ago
            yield Bundle(partition, [RowRecord(*record) for record in bundle])


class BundleWriter:
    """Writes records to a file, bundled by partition."""

    def __init__(self, file: BinaryIO, partitioner: RowPartitioner) -> None:
        self._file = file
        self._partition_of = partitioner.partition_of
        self._open: dict[int, list[tuple[bytes, bytes]]] = {}
        self._bytes: dict[int, int] = {}

    def add(self, record: RowRecord) -> None:
        """Adds the next record of the file."""
        partition = self._partition_of(record.key)
        bundle, size = self._open.get(partition), len(record.value)
        if bundle is None or self._bytes[partition] + size > BUNDLE_BYTES:
            self._write(partition)
            bundle = self._open[partition] = []
            self._bytes[partition] = 0
        bundle.append((record.key, record.value))
        self._bytes[partition] += size

    def finish(self) -> None:
        """Writes what is left."""
        for partition in list(self._open):
            self._write(partition)

    def _write(self, partition: int) -> None:
        if bundle := self._open.pop(partition, None):
            marshal.dump((partition, bundle), self._file)


def _rows(valid: FileAccepted) -> Iterator[Row]:
    with valid.reading.file.open() as text:
        yield from RowReader(valid.header).read_again(text)
