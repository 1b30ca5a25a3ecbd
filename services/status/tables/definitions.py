"""The tables. All of them can be thrown away: they can be made again from the topics.

    status_offsets      how far each partition has been projected; written in the same transaction as the rows
    status_jobs         a job: the facts that events have told, and what follows from them
    status_batches      which batches a job has, in order
    status_activations  the directory's answer to each request to activate a batch
    status_rows         the latest result of each row
    status_corrections  which job corrects which, and which of its rows
    status_history      what people and the service asked for, and how each round ended
    status_resolutions  what a person decided about a row whose outcome was unknown
    status_tallies      how many rows of a job have which outcome from which round
    status_pace         how many rows of a job got their result in each second of its last two minutes
    status_rounds       when each round of a job began and ended
    status_processors   the last report of every processor

Times are microseconds since 1970 (`timestamps`). The models declare the tables; the projection writes them with
SQLAlchemy Core only, since rows come at tens of thousands a second. Migrations, not this file, make them; a test
compares the two.
"""

from typing import Final

from sqlalchemy import BigInteger, Index, Table, Text, text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


class StatusTable(SQLModel, registry=registry()):
    """What the tables of this service have in common: a registry of their own."""


metadata: Final = StatusTable.metadata


def table_of(model: type[StatusTable]) -> Table:
    """The table behind a model, for statements of SQLAlchemy Core."""
    return model.metadata.tables[str(model.__tablename__)]


class Offset(StatusTable, table=True):
    """How far a partition has been projected."""

    __tablename__ = "status_offsets"

    topic: str = Field(primary_key=True, sa_type=Text)
    partition: int = Field(primary_key=True)
    next_offset: int = Field(sa_type=BigInteger)


class Job(StatusTable, table=True):
    """A job: the facts that events have told, and what follows from them."""

    __tablename__ = "status_jobs"
    __table_args__ = (
        Index("status_jobs_newest_of_all", "created_at", "job_id"),
        Index("status_jobs_newest", "tenant", "created_at", "job_id"),
        Index("status_jobs_newest_by_status", "tenant", "status", "created_at", "job_id"),
        Index(
            "status_jobs_due",
            "partition",
            "job_id",
            sqlite_where=text("due_round IS NOT NULL"),
            postgresql_where=text("due_round IS NOT NULL"),
        ),
        Index(
            "status_jobs_due_command",
            "due_command",
            "partition",
            "job_id",
            sqlite_where=text("due_command IS NOT NULL"),
            postgresql_where=text("due_command IS NOT NULL"),
        ),
    )

    job_id: str = Field(primary_key=True, sa_type=Text)
    # From JobAccepted. Results may come first: then these are null, and the API does not show the job yet.
    partition: int | None = Field(default=None)
    tenant: str | None = Field(default=None, sa_type=Text)
    file_name: str | None = Field(default=None, sa_type=Text)
    searched: str | None = Field(default=None, sa_type=Text)
    file_sha256: str | None = Field(default=None, sa_type=Text)
    total_hospitals: int | None = Field(default=None)
    batches: int | None = Field(default=None)
    columns: str | None = Field(default=None, sa_type=Text)
    delimiter: str | None = Field(default=None, sa_type=Text)
    #: JSON: FieldColumns. Null for jobs of version 0.1.0.
    fields: str | None = Field(default=None, sa_type=Text)
    express: bool | None = Field(default=None)
    max_failures: int | None = Field(default=None)
    created_at: int | None = Field(default=None, sa_type=BigInteger)
    # From results and later events.
    started_at: int | None = Field(default=None, sa_type=BigInteger)
    requested_round: int
    requested_offset: int | None = Field(default=None, sa_type=BigInteger)
    cancelled_round: int
    cancel_requested_at: int | None = Field(default=None, sa_type=BigInteger)
    cancel_settles_at: int | None = Field(default=None, sa_type=BigInteger)
    cancel_reason: str | None = Field(default=None, sa_type=Text)
    finished_round: int
    finished_outcome: str | None = Field(default=None, sa_type=Text)
    finished_at: int | None = Field(default=None, sa_type=BigInteger)
    #: JSON: what the last JobFinished says of the rows. Null when it has no roots (version 0.1.0).
    receipt: str | None = Field(default=None, sa_type=Text)
    batches_activated: int
    batches_refused: int
    answered_at: int | None = Field(default=None, sa_type=BigInteger)
    refusal: str | None = Field(default=None, sa_type=Text)
    filled_batches: int | None = Field(default=None)
    activations_requested: int = Field(sa_column_kwargs={"server_default": text("0")})
    # What follows.
    round: int
    created_hospitals: int
    failed_hospitals: int
    unprocessed_hospitals: int
    #: Of the failed, those that may be in the directory, and of which nobody has decided.
    unknown_hospitals: int = Field(sa_column_kwargs={"server_default": text("0")})
    #: Of the failed and unprocessed, those that stand again in a correction.
    corrected_hospitals: int = Field(sa_column_kwargs={"server_default": text("0")})
    status: str = Field(sa_type=Text)
    outcome: str | None = Field(default=None, sa_type=Text)
    activated: bool
    completed_at: int | None = Field(default=None, sa_type=BigInteger)
    #: The round whose JobFinished is still to be sent, or to be read back.
    due_round: int | None = Field(default=None)
    #: The command that the service has to give, until it has been read back: DueCommand.
    due_command: str | None = Field(default=None, sa_type=Text)
    # JobTimes: of the last round in which a row ran, and of those before it.
    timed_round: int = Field(sa_column_kwargs={"server_default": text("0")})
    round_started_at: int | None = Field(default=None, sa_type=BigInteger)
    round_ended_at: int | None = Field(default=None, sa_type=BigInteger)
    earlier_active: int = Field(sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})


class Batch(StatusTable, table=True):
    """A batch of a job, and its place among them."""

    __tablename__ = "status_batches"
    __table_args__ = (Index("status_batches_of_job", "job_id", "position"),)

    batch_id: str = Field(primary_key=True, sa_type=Text)
    job_id: str = Field(sa_type=Text)
    position: int


class Activation(StatusTable, table=True):
    """The directory's answer to a request to activate a batch."""

    __tablename__ = "status_activations"
    __table_args__ = (Index("status_activations_of_job", "job_id"),)

    batch_id: str = Field(primary_key=True, sa_type=Text)
    request_id: str = Field(primary_key=True, sa_type=Text)
    job_id: str = Field(sa_type=Text)
    activated: bool
    message: str = Field(sa_type=Text)
    http_status: int | None = Field(default=None)
    answered_at: int = Field(sa_type=BigInteger)


class Row(StatusTable, table=True):
    """The latest result of a row."""

    __tablename__ = "status_rows"
    __table_args__ = (
        Index(
            "status_rows_not_created",
            "job_id",
            "status",
            "row",
            sqlite_where=text("status <> 'created'"),
            postgresql_where=text("status <> 'created'"),
        ),
    )

    job_id: str = Field(primary_key=True, sa_type=Text)
    row: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    round: int
    batch_id: str | None = Field(default=None, sa_type=Text)
    name: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    #: JSON, since the directory's ids may be numbers or text.
    hospital_id: str | None = Field(default=None, sa_type=Text)
    attempts: int
    error_code: str | None = Field(default=None, sa_type=Text)
    error: str | None = Field(default=None, sa_type=Text)
    http_status: int | None = Field(default=None)
    started_at: int = Field(sa_type=BigInteger)
    finished_at: int = Field(sa_type=BigInteger)
    #: JSON: the row as it was uploaded, as an array of cells in the order of the job's columns. Of rows that version
    #: 0.1.0 accepted: an object, each cell by the name of its column.
    columns: str = Field(sa_type=Text)
    #: The row was not to run in its round: this is its result of the round before.
    carried_over: bool = Field(sa_column_kwargs={"server_default": text("false")})
    # Most rows are created: those that were not are found without walking past a million that were.


class Correction(StatusTable, table=True):
    """A job says that it corrects another one. Kept until that one is deleted, so that its rows are never run again."""

    __tablename__ = "status_corrections"
    __table_args__ = (
        Index("status_corrections_of_job", "corrects"),
        Index(
            "status_corrections_unmatched",
            "job_id",
            sqlite_where=text("unmatched"),
            postgresql_where=text("unmatched"),
        ),
    )

    job_id: str = Field(primary_key=True, sa_type=Text)
    #: As the uploader says: it may be the id of no job, or of another tenant's.
    corrects: str = Field(sa_type=Text)
    tenant: str = Field(sa_type=Text)
    #: Which rows of that job, as `shared.contract.row_set` writes them.
    named_rows: str = Field(sa_type=Text)
    #: The file did not say which rows: they are found by name and address when both jobs have ended.
    unmatched: bool


class History(StatusTable, table=True):
    """What was asked for, and how each round ended. An event that comes again is kept once."""

    __tablename__ = "status_history"

    job_id: str = Field(primary_key=True, sa_type=Text)
    event_id: str = Field(primary_key=True, sa_type=Text)
    #: Its place in the job's partition.
    position: int = Field(sa_type=BigInteger)
    kind: str = Field(sa_type=Text)
    round: int | None = Field(default=None)
    occurred_at: int = Field(sa_type=BigInteger)
    requested_by: str = Field(sa_type=Text)
    #: JSON: what else the event says.
    details: str = Field(sa_type=Text)


class Resolution(StatusTable, table=True):
    """What a person decided about a row whose outcome was unknown."""

    __tablename__ = "status_resolutions"

    job_id: str = Field(primary_key=True, sa_type=Text)
    row: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    round: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    hospital_id: str | None = Field(default=None, sa_type=Text)
    resolved_by: str = Field(sa_type=Text)
    resolved_at: int = Field(sa_type=BigInteger)


class Tally(StatusTable, table=True):
    """How many rows of a job have an outcome from a round; those that failed and may exist all the same once more."""

    __tablename__ = "status_tallies"

    job_id: str = Field(primary_key=True, sa_type=Text)
    round: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    status: str = Field(primary_key=True, sa_type=Text)
    hospitals: int


class Pace(StatusTable, table=True):
    """How many rows of a job got their result in a slot of time; old ones are dropped."""

    __tablename__ = "status_pace"

    job_id: str = Field(primary_key=True, sa_type=Text)
    slot: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    hospitals: int


class Round(StatusTable, table=True):
    """When a round of a job began, by its rows, and when it was finished."""

    __tablename__ = "status_rounds"

    job_id: str = Field(primary_key=True, sa_type=Text)
    round: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    started_at: int | None = Field(default=None, sa_type=BigInteger)
    finished_at: int | None = Field(default=None, sa_type=BigInteger)


class Processor(StatusTable, table=True):
    """The last report of a processor."""

    __tablename__ = "status_processors"

    instance: str = Field(primary_key=True, sa_type=Text)
    #: By the clock of this service, as all times in the report.
    occurred_at: int = Field(sa_type=BigInteger)
    #: JSON: KnownReport.
    report: str = Field(sa_type=Text)


offsets: Final = table_of(Offset)
jobs: Final = table_of(Job)
batches: Final = table_of(Batch)
activations: Final = table_of(Activation)
rows: Final = table_of(Row)
resolutions: Final = table_of(Resolution)
tallies: Final = table_of(Tally)
pace: Final = table_of(Pace)
rounds: Final = table_of(Round)
processors: Final = table_of(Processor)
corrections: Final = table_of(Correction)
history: Final = table_of(History)
