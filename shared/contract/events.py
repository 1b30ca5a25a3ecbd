"""Every event on the topics: frozen, in the past tense, tolerant of unknown fields, defined here and nowhere else.

    hospital.rows.*      RowAccepted
    hospital.results     RowCreated | RowFailed | RowUnprocessed
    hospital.jobs        JobAccepted | JobCancelRequested | JobRetryRequested | JobFinished
                         BatchActivationRequested | BatchActivated | BatchActivationFailed
                         RowResolved | SendingPaused | SendingResumed
    hospital.processors  ProcessorReported

`event_id` is deterministic, so that an event which a crash makes appear twice can be recognised. No two events share
one: a row is accepted as `job_id:row:round`, and its result in that round is `job_id:row:round:created`, `:failed` or
`:unprocessed`.
An example of each stands in `examples/`, its JSON Schema in `schemas/`.
"""

from datetime import UTC, datetime
from enum import StrEnum
from operator import not_
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt


def now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


class Fact(BaseModel):
    """What events are made of."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Event(Fact):
    """Something that has happened, and when."""

    version: Literal[1] = 1
    occurred_at: AwareDatetime = Field(default_factory=now)

    @property
    def event_id(self) -> str:
        """The CloudEvents id: the same event has the same id however often it is written."""
        raise NotImplementedError(f"{type(self).__name__} needs an event_id")

    @property
    def key(self) -> str:
        """The Kafka key."""
        raise NotImplementedError(f"{type(self).__name__} needs a key")

    @property
    def subject(self) -> str | None:
        """The CloudEvents subject: the row that the event is about, if it is about one."""
        return None


class JobEvent(Event):
    """Something that has happened to a job, or to a part of it."""

    tenant: str
    job_id: str

    @property
    def event_id(self) -> str:
        return f"{self.job_id}:{type(self).__name__}"

    @property
    def key(self) -> str:
        return self.job_id


# ---- rows ------------------------------------------------------------------------------------------------------------


def _is_none(value: object) -> bool:
    return value is None


class RowEvent(JobEvent):
    """Something that has happened to one row. `row` is the line that a spreadsheet shows: 2 below a header."""

    batch_id: str
    row: Annotated[int, Field(ge=1)]
    round: PositiveInt = 1
    #: As the directory is told it.
    name: str
    #: The row as uploaded, unchanged: a cell for each of JobAccepted.columns, in that order. Empty cells at the end of
    #: the row are left out.
    cells: tuple[str, ...] = ()
    #: In place of `cells` in the events of rows that version 0.1.0 accepted: each cell by the name of its column.
    columns: Annotated[dict[str, str] | None, Field(exclude_if=_is_none)] = None

    @property
    def event_id(self) -> str:
        return f"{self.job_id}:{self.row}:{self.round}"

    @property
    def subject(self) -> str:
        return str(self.row)


class RowAccepted(RowEvent):
    """A validated row that must become exactly one hospital."""

    address: str
    phone: str | None = None
    #: Of a retry: whether an earlier round may have created the hospital, so that it has to be looked up first. False
    #: when the directory clearly refused it, it was not sent, or a person found it absent; written only then.
    may_exist: Annotated[bool, Field(exclude_if=bool)] = True

    @property
    def key(self) -> str:
        return f"{self.job_id}:{self.row}"


class RowResult(RowEvent):
    """What became of a row in one round."""

    #: As the directory was told them. None in results of version 0.1.0, and when the row's event could not be read.
    address: str | None = None
    phone: str | None = None
    #: Calls that counted as an attempt; a row that had to wait for an outage has none for it.
    attempts: NonNegativeInt
    #: When a processor took the row up.
    started_at: AwareDatetime

    @property
    def event_id(self) -> str:
        return f"{super().event_id}:{type(self).__name__.removeprefix('Row').lower()}"


class RowCreated(RowResult):
    """The directory holds the hospital."""

    hospital_id: int | str
    #: True when its creation was only seen by a look-up, after an answer that never came.
    found: bool = False


class RowErrorCode(StrEnum):
    """Why a row failed."""

    REJECTED = "rejected"  # the directory refused it, for good
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"  # every attempt failed, and none created it
    OUTCOME_UNKNOWN = "outcome_unknown"  # it may exist in the directory: somebody has to look
    UNDECODABLE = "undecodable"  # its event could not be read


class RowFailed(RowResult):
    """The row did not become a hospital, or nobody can tell (`outcome_unknown`)."""

    code: RowErrorCode
    #: For a person: the directory's own words where there are any.
    message: str
    http_status: int | None = None
    #: The row was not to run in this round, so this is its result of the round before; written only then.
    carried_over: Annotated[bool, Field(exclude_if=not_)] = False


class RowUnprocessed(RowResult):
    """The row was not sent: its job was cancelled, or a later round took its place."""

    message: str
    #: As in RowFailed.
    carried_over: Annotated[bool, Field(exclude_if=not_)] = False


RowOutcome = RowCreated | RowFailed | RowUnprocessed


# ---- jobs ------------------------------------------------------------------------------------------------------------


class FieldColumns(Fact):
    """Which columns became each field, by their places in `JobAccepted.columns`, from 0.

    Several were joined with a comma and a space, empty ones left out.
    """

    name: tuple[NonNegativeInt, ...]
    address: tuple[NonNegativeInt, ...]
    phone: tuple[NonNegativeInt, ...] = ()


class JobAccepted(JobEvent):
    """A file became a job. Written last in the transaction that holds its rows."""

    file_name: str
    file_sha256: str
    total_hospitals: PositiveInt
    batch_ids: tuple[str, ...]
    #: The input's header, in order: which column each of a row's `cells` belongs to, and what result files start with.
    columns: tuple[str, ...]
    delimiter: str = ","
    #: True when its rows went to the express topic.
    express: bool = True
    #: None in events of version 0.1.0: there the columns are called name, address and phone.
    fields: FieldColumns | None = None
    #: More failed rows than this in one round stop the job. None = however many fail.
    max_failures: NonNegativeInt | None = None
    #: The job of the same tenant that this one corrects, as its uploader says or as the file's result columns do.
    corrects: str | None = None
    #: Which rows of that job stand here again, as `shared.contract.row_set` writes them. Empty when the file does not
    #: say.
    corrected_rows: str = ""


class CancelReason(StrEnum):
    """Why a job was cancelled."""

    USER = "user"
    MAX_FAILURES = "max_failures"  # more rows failed than JobAccepted.max_failures


class JobCancelRequested(JobEvent):
    """Rows of this round or earlier that have not been sent are not to be sent."""

    round: PositiveInt = 1
    #: From then on no row of the round that a processor took up is still under way, unless the directory is out of
    #: reach: lease + time-out + settle time after the request. Rows without a result count as unprocessed from then on.
    settles_at: AwareDatetime | None = None
    reason: CancelReason = CancelReason.USER
    #: Whose key gave the command; empty when nobody did, and in events of version 0.1.0.
    requested_by: str = ""

    @property
    def event_id(self) -> str:
        return f"{self.job_id}:JobCancelRequested:{self.round}"


class JobRetryRequested(JobEvent):
    """Failed and unprocessed rows are to run again, as `round`; those that a correction names are carried over."""

    round: Annotated[int, Field(ge=2)]
    #: Only rows that failed with one of these codes run again, or were not sent (`unprocessed`); empty = all.
    codes: tuple[str, ...] = ()
    #: As in JobCancelRequested.
    requested_by: str = ""

    @property
    def event_id(self) -> str:
        return f"{self.job_id}:JobRetryRequested:{self.round}"


class JobOutcome(StrEnum):
    """How a job ended."""

    ALL_CREATED = "all_created"
    SOME_FAILED = "some_failed"
    NONE_CREATED = "none_created"
    CANCELLED = "cancelled"


_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class OutcomeRoots(Fact):
    """The root of the Merkle tree over the rows of each outcome; `shared.contract.outcomes_tree` says how."""

    created: _Sha256
    failed: _Sha256
    unprocessed: _Sha256


class JobFinished(JobEvent):
    """Every row of the round has a result. When people settle the last failure by hand, that is one more round.

    The counts and `outcomes_sha256` are a manifest: a reader can check that it has read every result. The hash is
    SHA-256, as 64 hexadecimal digits, over the UTF-8 text that has one line for each row of the job, in ascending
    order of `row`, each ended by a line feed: `row:status:hospital_id`. The status is `created`, `failed` or
    `unprocessed`, by the row's result of its highest round, or as RowResolved settled that result; hospital_id is
    empty unless the row is created, and a number is written in decimal.
    """

    round: PositiveInt = 1
    outcome: JobOutcome
    total_hospitals: PositiveInt
    created_hospitals: NonNegativeInt
    failed_hospitals: NonNegativeInt
    unprocessed_hospitals: NonNegativeInt
    batch_ids: tuple[str, ...]
    outcomes_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    #: The same with the cells of each row, so that a file of one outcome can be checked alone. None before 0.2.0.
    outcomes_root: _Sha256 | None = None
    outcome_roots: OutcomeRoots | None = None

    @property
    def event_id(self) -> str:
        return f"{self.job_id}:JobFinished:{self.round}"


class BatchEvent(JobEvent):
    """Something that has happened to one batch of a job."""

    batch_id: str
    #: Which request for activation this answers; `finished:<round>` for the automatic one.
    request_id: str

    @property
    def event_id(self) -> str:
        return f"{self.batch_id}:{type(self).__name__}:{self.request_id}"


class BatchActivationRequested(BatchEvent):
    """Somebody asked by hand for the activation of a batch, or the last row of a job was created after correction.

    `request_id` is `corrected:<round>` then.
    """

    #: As in JobCancelRequested.
    requested_by: str = ""


class BatchActivated(BatchEvent):
    """The directory activated the batch."""

    message: str = ""


class BatchActivationFailed(BatchEvent):
    """The directory refused to activate the batch, or could not after every attempt."""

    message: str
    http_status: int | None = None


class RowResolved(JobEvent):
    """A person resolved a row whose outcome was unknown.

    Counts only in front of the JobRetryRequested of the row's next round. "Absent" does not undo a found hospital.
    """

    row: Annotated[int, Field(ge=1)]
    round: PositiveInt = 1
    #: The hospital that was found in the directory; None when it is known to be absent.
    hospital_id: int | str | None
    resolved_by: str

    @property
    def event_id(self) -> str:
        # Somebody may change their mind: a reader that drops repeats must not miss the later decision.
        return f"{self.job_id}:{self.row}:RowResolved:{self.round}:{self.occurred_at.timestamp():.3f}"

    @property
    def subject(self) -> str:
        return str(self.row)


class SendingEvent(Event):
    """Something that holds for all processors. Its key is always the same, so that pause and resume stay in order."""

    request_id: str
    requested_by: str = ""

    @property
    def event_id(self) -> str:
        return f"{type(self).__name__}:{self.request_id}"

    @property
    def key(self) -> str:
        return "sending"


class SendingPaused(SendingEvent):
    """No processor sends anything until SendingResumed."""


class SendingResumed(SendingEvent):
    """Processors send again."""


# ---- processors ------------------------------------------------------------------------------------------------------


class BreakerState(StrEnum):
    """The state of a processor's circuit breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class LaneReport(Fact):
    """One lane: a partition index of its three topics. What is counted here are rows."""

    partition: NonNegativeInt
    in_flight: NonNegativeInt = 0
    waiting: NonNegativeInt = 0
    window_used: NonNegativeInt = 0
    lag_rows: NonNegativeInt = 0
    #: Those of them that go before rows of large jobs.
    lag_express_rows: NonNegativeInt | None = None
    lag_seconds: float = 0.0
    #: Nothing is sent for it yet: its former owner may still be sending.
    taking_over: bool = False


class JobInDoubt(Fact):
    """Rows of a job that may exist in the directory, and are looked up before anything else.

    `until`: from then on the last of them may be looked up, unless a look-up fails; None = not known.
    """

    job_id: str
    rows: PositiveInt
    until: AwareDatetime | None = None


class RateSlotGrant(Fact):
    """Gives rate slots away: slot n, of those from `first` and before `end`, to number n mod the length of `to`.

    `to` has names of processors, as in RateSlotsReport; an empty name stands for nobody. Of a slot that is given away
    several times only the first grant on the topic counts.
    """

    first: Annotated[int, Field(ge=0, le=2**53)]
    end: Annotated[int, Field(ge=0, le=2**53)]
    to: tuple[str, ...]


class RateSlotsReport(Fact):
    """What a processor tells the others about the slots of the rate limit."""

    #: Names this process, and not the next one with the same instance id.
    processor: str
    #: From one slot to the next, in seconds. Slots of another length are another processor's own affair.
    interval: PositiveFloat
    #: The time that slots are counted in, as this processor knows it: slot n begins at n x interval.
    time: Annotated[float, Field(ge=0, le=1e11)]
    wants_slots: bool = False
    grant: RateSlotGrant | None = None


class ProcessorReported(Event):
    """How a processor is, every 5 s. One that has been silent for 15 s is gone."""

    instance: str
    breaker: BreakerState
    paused: bool = False
    #: The directory's own wish, from Retry-After: nothing is sent before it.
    retry_after_until: AwareDatetime | None = None
    #: The configured pace over all processors, requests per second; None = no limit.
    rate_limit: float | None = None
    #: Rows that got a result in the last minute, per second.
    rows_per_second: float = 0.0
    lanes: tuple[LaneReport, ...] = ()
    #: Mean length of the lanes' transactions since the last report, in seconds.
    commit_seconds: float = 0.0
    #: The following since the process began: batches looked up; turns of the pace that were taken, and forfeited;
    #: silences that the directory asked for; lanes taken over, and lost to another processor.
    look_ups: NonNegativeInt = 0
    slots_used: NonNegativeInt = 0
    slots_wasted: NonNegativeInt = 0
    retry_after_waits: NonNegativeInt = 0
    takeovers: NonNegativeInt = 0
    fenced: NonNegativeInt = 0
    #: When the circuit breaker next tries whether the directory answers; None while it is closed, or when not known.
    next_try_at: AwareDatetime | None = None
    #: Connections to the directory that it uses at most; None = not known.
    connections: PositiveInt | None = None
    #: Of up to 50 jobs, those with the most rows in doubt.
    jobs_in_doubt: tuple[JobInDoubt, ...] = ()
    #: None without a rate limit, and from processors of version 0.1.0.
    rate_slots: RateSlotsReport | None = None

    @property
    def event_id(self) -> str:
        return f"{self.instance}:{self.occurred_at.timestamp():.3f}"

    @property
    def key(self) -> str:
        return self.instance


EVENT_TYPES: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in (
        RowAccepted,
        RowCreated,
        RowFailed,
        RowUnprocessed,
        JobAccepted,
        JobCancelRequested,
        JobRetryRequested,
        JobFinished,
        BatchActivationRequested,
        BatchActivated,
        BatchActivationFailed,
        RowResolved,
        SendingPaused,
        SendingResumed,
        ProcessorReported,
    )
}
