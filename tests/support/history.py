"""Whether a run was exactly once: from the directory's own log and the committed records, and nothing else.

A violation names the rule, the row, and the events that break it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from shared.contract.events import (
    BatchActivated,
    BatchActivationFailed,
    BatchActivationRequested,
    Event,
    JobFinished,
    JobOutcome,
    RowAccepted,
    RowCreated,
    RowErrorCode,
    RowFailed,
    RowOutcome,
    RowResolved,
    RowUnprocessed,
)
from shared.contract.hospital_matching import MatchingKey, matching_key
from shared.contract.outcomes_digest import OutcomesDigest, Status


@dataclass(frozen=True, slots=True)
class Creation:
    """A hospital as the directory created it, in the words in which it was sent. `at`: by the directory's clock."""

    hospital_id: int | str
    batch_id: str | None
    name: str
    address: str
    phone: str | None
    at: float = 0.0
    #: Who sent it, if the directory knows.
    sender: str = ""
    #: The call's Idempotency-Key, `job_id:row:round`: tells the row of a directory that keeps no addresses.
    key: str = ""


@dataclass(frozen=True, slots=True)
class Activation:
    """A batch that the directory activated."""

    batch_id: str
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise."""

    rule: str
    about: str
    events: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([f"{self.rule}: {self.about}", *(f"    {event}" for event in self.events)])


@dataclass
class History:
    """What is known of a run that has ended. Events in the order of their partitions.

    `activations` is None when the directory does not tell them.
    """

    accepted: Sequence[RowAccepted]
    results: Sequence[RowOutcome]
    creations: Sequence[Creation]
    job_events: Sequence[Event] = ()
    activations: Sequence[Activation] | None = None
    #: Rows whose event could not be read: (job, row, round). They fail as `undecodable`.
    undecodable: Sequence[tuple[str, int, int]] = ()
    #: Whether everything has ended: every row has a result, every request its answer.
    complete: bool = True
    #: An operator let rows be delivered once more after Kafka had forgotten the offsets: they have another result.
    delivered_again: bool = False


_RowOfBatch = tuple[str | None, MatchingKey]


@dataclass
class _Row:
    """Everything about one row."""

    job_id: str
    row: int
    accepted: dict[int, list[RowAccepted]] = field(default_factory=lambda: defaultdict(list))
    results: dict[int, list[RowOutcome]] = field(default_factory=lambda: defaultdict(list))
    creations: list[Creation] = field(default_factory=list)

    @property
    def last(self) -> RowOutcome | None:
        """The result of its highest round."""
        return self.results[max(self.results)][-1] if self.results else None

    def about(self) -> str:
        """Its name."""
        return f"job {self.job_id}, row {self.row}"

    def story(self) -> tuple[str, ...]:
        """All that has happened to it."""
        told = [
            f"accepted in round {number}, batch {event.batch_id}, may_exist={event.may_exist}"
            for number, events in sorted(self.accepted.items())
            for event in events
        ]
        told += [
            f"created as {each.hospital_id} at {each.at:.3f}{' by ' + each.sender if each.sender else ''}"
            for each in self.creations
        ]
        told += [_tell(result) for _, results in sorted(self.results.items()) for result in results]
        return tuple(told)


def violations(history: History) -> list[Violation]:
    """The promises that the run broke; empty when it was exactly once."""
    rows = _rows(history)
    found = [problem for row in rows.values() for problem in _of_row(row, history)]
    found += _of_hospitals(history, rows)
    found += _of_finished_jobs(history, rows)
    found += _of_activations(history)
    return found


def _rows(history: History) -> dict[tuple[str, int], _Row]:
    rows: dict[tuple[str, int], _Row] = {}
    by_hospital: dict[_RowOfBatch, _Row] = {}
    for event in history.accepted:
        row = rows.setdefault((event.job_id, event.row), _Row(event.job_id, event.row))
        row.accepted[event.round].append(event)
        by_hospital[event.batch_id, matching_key(event.name, event.address, event.phone)] = row
    for result in history.results:
        row = rows.setdefault((result.job_id, result.row), _Row(result.job_id, result.row))
        row.results[result.round].append(result)
    for creation in history.creations:
        known = by_hospital.get((creation.batch_id, matching_key(creation.name, creation.address, creation.phone)))
        if known is None and creation.key:
            job_id, number, _round = unquote(creation.key).rsplit(":", 2)
            known = rows.get((job_id, int(number)))
        if known is not None:
            known.creations.append(creation)
    return rows


# ---- rows ------------------------------------------------------------------------------------------------------------


def _of_row(row: _Row, history: History) -> Iterable[Violation]:
    undecodable = {round_ for job, number, round_ in history.undecodable if (job, number) == (row.job_id, row.row)}
    rounds = row.accepted.keys() | undecodable
    for round_, results in sorted(row.results.items()):
        if round_ not in rounds:
            yield Violation("a result of a round that nobody asked for", f"{row.about()}, round {round_}", row.story())
        elif len(results) > 1 and not history.delivered_again:
            yield Violation("more than one result", f"{row.about()}, round {round_}", row.story())
    if history.complete:
        for round_ in sorted(rounds - row.results.keys()):
            yield Violation("no result", f"{row.about()}, round {round_}", row.story())
    if len(row.creations) > 1:
        yield Violation(f"created {len(row.creations)} times", row.about(), row.story())
    yield from _untrue(row, history)


def _untrue(row: _Row, history: History) -> Iterable[Violation]:
    """Each result has to be true of the directory, as far as a later round does not change it."""
    ids = {str(creation.hospital_id) for creation in row.creations}
    for results in row.results.values():
        for result in results:
            if isinstance(result, RowCreated) and str(result.hospital_id) not in ids:
                yield Violation(f"hospital {result.hospital_id} is not this row's", row.about(), row.story())
    match row.last:
        case RowUnprocessed() if ids and history.complete:
            yield Violation("not sent, it says, and yet it exists", row.about(), row.story())
        case RowFailed(code=code) if ids and code is not RowErrorCode.OUTCOME_UNKNOWN and history.complete:
            yield Violation(f"failed as {code.value}, and yet it exists", row.about(), row.story())
        case None if ids and history.complete and row.accepted:
            yield Violation("created without a result", row.about(), row.story())


def _of_hospitals(history: History, rows: dict[tuple[str, int], _Row]) -> Iterable[Violation]:
    known = {creation.hospital_id for row in rows.values() for creation in row.creations}
    for creation in history.creations:
        if creation.hospital_id not in known:
            yield Violation("a hospital that no row asked for", str(creation.hospital_id), (repr(creation),))
    by_id: dict[str, list[_Row]] = defaultdict(list)
    for row in rows.values():
        if isinstance(row.last, RowCreated):
            by_id[str(row.last.hospital_id)].append(row)
    for hospital_id, sharing in by_id.items():
        if len(sharing) > 1:
            story = tuple(line for row in sharing for line in (row.about(), *row.story()))
            yield Violation("two rows name one hospital", hospital_id, story)


# ---- jobs ------------------------------------------------------------------------------------------------------------


def _of_finished_jobs(history: History, rows: dict[tuple[str, int], _Row]) -> Iterable[Violation]:
    of_job: dict[str, list[_Row]] = defaultdict(list)
    for row in rows.values():
        of_job[row.job_id].append(row)
    resolved = {event.job_id for event in history.job_events if isinstance(event, RowResolved)}
    for event in history.job_events:
        # People who settle rows change the counts of rounds that have no rows of their own.
        if isinstance(event, JobFinished) and event.job_id not in resolved:
            yield from _of_finished(event, of_job[event.job_id])


def _of_finished(event: JobFinished, rows: list[_Row]) -> Iterable[Violation]:
    digest, counts = OutcomesDigest(), {"created": 0, "failed": 0, "unprocessed": 0}
    for row in sorted(rows, key=lambda each: each.row):
        up_to = [round_ for round_ in row.results if round_ <= event.round]
        if not up_to:
            yield Violation("finished before its rows", f"job {event.job_id}, round {event.round}", row.story())
            return
        result = row.results[max(up_to)][0]  # what came later, JobFinished could not know
        status: Status = (
            "created"
            if isinstance(result, RowCreated)
            else "failed"
            if isinstance(result, RowFailed)
            else "unprocessed"
        )
        counts[status] += 1
        digest.add(row.row, status, result.hospital_id if isinstance(result, RowCreated) else None)
    told = {
        "created": event.created_hospitals,
        "failed": event.failed_hospitals,
        "unprocessed": event.unprocessed_hospitals,
    }
    about = f"job {event.job_id}, round {event.round}"
    if told != counts or event.total_hospitals != len(rows):
        yield Violation("JobFinished counts wrongly", about, (f"it says {told}", f"the results say {counts}"))
    if event.outcomes_sha256 not in (None, digest.hexdigest()):
        yield Violation("JobFinished has another digest", about, (str(event.outcomes_sha256), digest.hexdigest()))
    if (event.outcome is JobOutcome.ALL_CREATED) is not (counts["created"] == len(rows)):
        yield Violation("JobFinished has a wrong outcome", about, (event.outcome.value, str(counts)))


# ---- activations -----------------------------------------------------------------------------------------------------


def _of_activations(history: History) -> Iterable[Violation]:
    """An activation may be repeated, and with it its answer: the next owner of a lane does so. Each has to be true."""
    asked: dict[tuple[str, str], int] = {}
    answered: dict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in history.job_events:
        match event:
            case JobFinished(outcome=JobOutcome.ALL_CREATED):
                asked.update(dict.fromkeys(((batch, f"finished:{event.round}") for batch in event.batch_ids), 0))
            case BatchActivationRequested():
                asked[event.batch_id, event.request_id] = 0
            case BatchActivated() | BatchActivationFailed():
                answered[event.batch_id, event.request_id].append(event)
    for request, events in answered.items():
        if request not in asked:
            yield Violation("an answer to an activation that nobody asked for", str(request), _tell_all(events))
    if history.complete:
        for request in asked.keys() - answered.keys():
            yield Violation("an activation was never answered", str(request), ())
    if history.activations is not None:
        batches = {batch for batch, _ in asked}
        active = {activation.batch_id for activation in history.activations}
        for batch in sorted(active - batches):
            yield Violation("activated without a request", f"batch {batch}", ())
        for (batch, request_id), events in answered.items():
            if batch not in active and any(isinstance(event, BatchActivated) for event in events):
                yield Violation("called active, and is not", f"batch {batch}, {request_id}", _tell_all(events))


def _tell(event: Event) -> str:
    match event:
        case RowCreated():
            return f"result of round {event.round}: created as {event.hospital_id}, found={event.found}"
        case RowFailed():
            return f"result of round {event.round}: failed, {event.code.value}: {event.message[:100]}"
        case RowUnprocessed():
            return f"result of round {event.round}: unprocessed: {event.message[:100]}"
    return repr(event)


def _tell_all(events: Iterable[Event]) -> tuple[str, ...]:
    return tuple(repr(event) for event in events)
