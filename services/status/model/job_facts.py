"""The facts about a job that events have told. Pure: no database, no clock.

Events about a job are in one partition, and are read in its order, some of them more than once. The same events give
the same facts.
"""

import json
import unicodedata
from dataclasses import dataclass, replace

from services.status.model.timestamps import Micros, micros
from shared.contract.events import JobAccepted, JobCancelRequested, JobEvent, JobFinished, JobRetryRequested


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What events have said of a job. What JobAccepted says is None until it has been read."""

    job_id: str
    partition: int | None = None
    tenant: str | None = None
    file_name: str | None = None
    #: What a search compares with: case-folded.
    searched: str | None = None
    file_sha256: str | None = None
    total_hospitals: int | None = None
    batches: int | None = None
    columns: str | None = None
    delimiter: str | None = None
    #: JSON: which of the columns became name, address and phone. None: those that are called so.
    fields: str | None = None
    express: bool | None = None
    #: More failed rows than this in one round stop the job.
    max_failures: int | None = None
    created_at: Micros | None = None
    started_at: Micros | None = None
    requested_round: int = 1
    #: Where in the job's partition that round was first requested: a later request for it is the same one again.
    requested_offset: int | None = None
    cancelled_round: int = 0
    cancel_requested_at: Micros | None = None
    #: When rows that have no result by then count as unprocessed.
    cancel_settles_at: Micros | None = None
    cancel_reason: str | None = None
    finished_round: int = 0
    finished_outcome: str | None = None
    finished_at: Micros | None = None
    #: JSON: what the last JobFinished says of the rows, None when it has no roots.
    receipt: str | None = None
    batches_activated: int = 0
    batches_refused: int = 0
    answered_at: Micros | None = None
    refusal: str | None = None
    #: Of a job of which nothing is open any more after its corrections: how many of its batches hold a hospital, and
    #: of how many the activation was requested therefore.
    filled_batches: int | None = None
    activations_requested: int = 0


#: By job_id.
Jobs = dict[str, JobFacts]


def apply_event(facts: JobFacts, event: JobEvent, offset: int) -> JobFacts:
    """The facts after an event about the whole job; other events change nothing. `offset`: the event's."""
    match event:
        case JobAccepted():
            return _accepted(facts, event)
        case JobRetryRequested():
            return _requested(facts, event.round, offset)
        case JobCancelRequested():
            return _cancelled(facts, event)
        case JobFinished():
            return _finished(facts, event)
        case _:
            return facts


def _accepted(facts: JobFacts, event: JobAccepted) -> JobFacts:
    return replace(
        facts,
        tenant=event.tenant,
        file_name=event.file_name,
        searched=searched(f"{event.file_name} {event.job_id}"),
        file_sha256=event.file_sha256,
        total_hospitals=event.total_hospitals,
        batches=len(event.batch_ids),
        columns=json.dumps(event.columns, ensure_ascii=False),
        delimiter=event.delimiter,
        fields=event.fields.model_dump_json() if event.fields else None,
        express=event.express,
        max_failures=event.max_failures,
        created_at=micros(event.occurred_at),
    )


def searched(text: str) -> str:
    """A text as searches compare it."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())


def _requested(facts: JobFacts, round_: int, offset: int) -> JobFacts:
    """A retry counts when it asks for the round after the last finished one.

    Any other request is ignored by everybody, so the job must not wait for its rows.
    """
    if round_ != facts.finished_round + 1:
        return facts
    known = facts.requested_offset if round_ == facts.requested_round else None
    return replace(facts, requested_round=round_, requested_offset=offset if known is None else min(known, offset))


def _cancelled(facts: JobFacts, event: JobCancelRequested) -> JobFacts:
    if not _newer(event.round, event, facts.cancelled_round, facts.cancel_requested_at):
        return facts
    return replace(
        facts,
        cancelled_round=event.round,
        cancel_requested_at=micros(event.occurred_at),
        cancel_settles_at=micros(event.settles_at) if event.settles_at else None,
        cancel_reason=event.reason.value,
    )


def _finished(facts: JobFacts, event: JobFinished) -> JobFacts:
    if not _newer(event.round, event, facts.finished_round, facts.finished_at):
        return facts
    return replace(
        facts,
        finished_round=event.round,
        finished_outcome=event.outcome.value,
        finished_at=micros(event.occurred_at),
        receipt=_receipt(event),
    )


def _receipt(event: JobFinished) -> str | None:
    if event.outcomes_root is None or event.outcome_roots is None:
        return None
    counts = {"total_hospitals", "created_hospitals", "failed_hospitals", "unprocessed_hospitals"}
    said = event.model_dump(mode="json", include={"round", "outcome", "outcomes_root", "outcome_roots"} | counts)
    return json.dumps(said | {"finished_at": event.occurred_at.isoformat()})


def _newer(round_: int, event: JobEvent, known_round: int, known_at: Micros | None) -> bool:
    """Whether the event is of a higher round; or, after a crash, the same one again and written earlier."""
    if round_ != known_round or known_at is None:
        return round_ > known_round
    return micros(event.occurred_at) < known_at
