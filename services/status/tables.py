"""The tables. All of them can be thrown away: the topics tell everything again.

    status_offsets      how far each partition has been projected; changes in the same transaction as what it tells
    status_jobs         a job: what was told of it, and what follows from that
    status_batches      which batches a job has, in order
    status_activations  the directory's answer to each request to activate a batch
    status_rows         the latest result of each row
    status_resolutions  what a person decided about a row whose outcome was unknown
    status_tallies      how many rows of a job have which outcome from which round
    status_pace         how many rows of a job got their result in each slot of time
    status_processors   the latest report of every processor

Times are microseconds since 1970 (`instants`). The projection writes them with SQLAlchemy Core only: rows come at
tens of thousands a second. Migrations, not this file, make them; a test keeps the two alike.
"""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, Table, Text, text

metadata: Final = MetaData()

offsets: Final = Table(
    "status_offsets",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
)

jobs: Final = Table(
    "status_jobs",
    metadata,
    Column("job_id", Text, primary_key=True),
    # What JobAccepted told. Results may come first: then these are null, and nobody sees the job yet.
    Column("partition", Integer),
    Column("tenant", Text),
    Column("file_name", Text),
    Column("file_sha256", Text),
    Column("total_hospitals", Integer),
    Column("batches", Integer),
    Column("columns", Text),
    Column("delimiter", Text),
    Column("express", Boolean),
    Column("created_at", BigInteger),
    # What results and later events told.
    Column("started_at", BigInteger),
    Column("requested_round", Integer, nullable=False),
    Column("cancelled_round", Integer, nullable=False),
    Column("cancel_requested_at", BigInteger),
    Column("finished_round", Integer, nullable=False),
    Column("finished_outcome", Text),
    Column("finished_at", BigInteger),
    Column("batches_activated", Integer, nullable=False),
    Column("batches_refused", Integer, nullable=False),
    Column("answered_at", BigInteger),
    Column("refusal", Text),
    # What follows.
    Column("round", Integer, nullable=False),
    Column("created_hospitals", Integer, nullable=False),
    Column("failed_hospitals", Integer, nullable=False),
    Column("unprocessed_hospitals", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("outcome", Text),
    Column("activated", Boolean, nullable=False),
    Column("completed_at", BigInteger),
    #: The round whose JobFinished is still to be sent, or to be read back.
    Column("due_round", Integer),
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
)

batches: Final = Table(
    "status_batches",
    metadata,
    Column("batch_id", Text, primary_key=True),
    Column("job_id", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Index("status_batches_of_job", "job_id", "position"),
)

activations: Final = Table(
    "status_activations",
    metadata,
    Column("batch_id", Text, primary_key=True),
    Column("request_id", Text, primary_key=True),
    Column("job_id", Text, nullable=False),
    Column("activated", Boolean, nullable=False),
    Column("message", Text, nullable=False),
    Column("http_status", Integer),
    Column("answered_at", BigInteger, nullable=False),
    Index("status_activations_of_job", "job_id"),
)

rows: Final = Table(
    "status_rows",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("row", Integer, primary_key=True, autoincrement=False),
    Column("round", Integer, nullable=False),
    Column("batch_id", Text),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False),
    #: JSON, since the directory's ids may be numbers or text.
    Column("hospital_id", Text),
    Column("attempts", Integer, nullable=False),
    Column("error_code", Text),
    Column("error", Text),
    Column("http_status", Integer),
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger, nullable=False),
    #: JSON: the row as it was uploaded.
    Column("columns", Text, nullable=False),
    # Most rows are created: those that were not are found without walking past a million that were.
    Index(
        "status_rows_not_created",
        "job_id",
        "status",
        "row",
        sqlite_where=text("status <> 'created'"),
        postgresql_where=text("status <> 'created'"),
    ),
)

resolutions: Final = Table(
    "status_resolutions",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("row", Integer, primary_key=True, autoincrement=False),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("hospital_id", Text),
    Column("resolved_by", Text, nullable=False),
    Column("resolved_at", BigInteger, nullable=False),
)

tallies: Final = Table(
    "status_tallies",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("status", Text, primary_key=True),
    Column("hospitals", Integer, nullable=False),
)

pace: Final = Table(
    "status_pace",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("slot", BigInteger, primary_key=True, autoincrement=False),
    Column("hospitals", Integer, nullable=False),
)

processors: Final = Table(
    "status_processors",
    metadata,
    Column("instance", Text, primary_key=True),
    Column("occurred_at", BigInteger, nullable=False),
    #: JSON: the event ProcessorReported.
    Column("report", Text, nullable=False),
)
