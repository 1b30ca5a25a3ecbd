"""Whether a file can become a job: its rows, and the size of the event that describes the whole job."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.ingest.csv_file.header import Header
from services.ingest.csv_file.validation import FileAccepted, FileRejected, Rules, Unsuitable, validate_file
from services.ingest.csv_file.workbook import Sheet
from services.ingest.job_events.batches import count_batches
from services.ingest.job_events.job_draft import JobDraft
from shared.contract.events import FieldColumns, JobAccepted
from shared.contract.topics import MAX_MESSAGE_BYTES

#: Most bytes of an event's value. Headers and key need room, and so do the counts of JobFinished, which names the same
#: batches, and the headers of a dead letter.
MAX_EVENT_BYTES: Final = MAX_MESSAGE_BYTES - 8_192
#: A batch id in JSON: 36 characters, two quotes and a comma.
_BATCH_ID_BYTES: Final = 39


@dataclass(frozen=True, slots=True)
class JobTooLarge:
    """The event of the job, which names its batches, columns and corrected rows, does not fit into a Kafka record."""

    batches: int
    #: Of the column names, in bytes.
    name_bytes: int
    #: Of the rows of the job that it corrects, in bytes.
    correction_bytes: int = 0


NoJob = FileRejected | Unsuitable | JobTooLarge


def validate_job(path: Path, rules: Rules, draft: JobDraft, sheet: Sheet | None = None) -> FileAccepted | NoJob:
    """Reads the whole file once. `sheet`: of a workbook, the one that is read."""
    valid = validate_file(path, rules, sheet)
    if not isinstance(valid, FileAccepted):
        return valid
    batches = count_batches(valid.total, valid.occurrences.values(), draft.batch_rows)
    event = job_accepted(draft, valid, ())
    if len(event.model_dump_json().encode()) + batches * _BATCH_ID_BYTES > MAX_EVENT_BYTES:
        return JobTooLarge(batches, sum(len(name.encode()) for name in event.columns), len(event.corrected_rows))
    return valid


def job_accepted(draft: JobDraft, valid: FileAccepted, batch_ids: Sequence[str]) -> JobAccepted:
    """The event of the whole job."""
    correction = valid.correction
    return JobAccepted(
        occurred_at=draft.accepted_at,
        tenant=draft.tenant,
        job_id=draft.job_id,
        file_name=draft.file_name,
        file_sha256=draft.file_sha256,
        total_hospitals=valid.total,
        batch_ids=tuple(batch_ids),
        columns=valid.header.columns,
        delimiter=valid.header.delimiter,
        express=valid.total <= draft.express_max_rows,
        fields=_fields(valid.header),
        max_failures=draft.max_failures.rows(valid.total) if draft.max_failures else None,
        corrects=correction.job_id if correction else None,
        corrected_rows=correction.rows if correction else "",
    )


def _fields(header: Header) -> FieldColumns:
    place = {index: place for place, index in enumerate(header.indices)}
    mapping = header.mapping
    name, address, phone = (
        tuple(place[index] for index in each) for each in (mapping.name, mapping.address, mapping.phone)
    )
    return FieldColumns(name=name, address=address, phone=phone)
