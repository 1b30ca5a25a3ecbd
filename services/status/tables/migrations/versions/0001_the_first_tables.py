"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes every table: the topics fill them."""
    for make in (_offsets, _jobs, _batches, _activations, _rows, _resolutions, _tallies, _pace, _processors):
        make()


def _offsets() -> None:
    op.create_table(
        "status_offsets",
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True),
        sa.Column("next_offset", sa.BigInteger, nullable=False),
    )


def _jobs() -> None:
    op.create_table(
        "status_jobs",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer),
        sa.Column("tenant", sa.Text),
        sa.Column("file_name", sa.Text),
        sa.Column("file_sha256", sa.Text),
        sa.Column("total_hospitals", sa.Integer),
        sa.Column("batches", sa.Integer),
        sa.Column("columns", sa.Text),
        sa.Column("delimiter", sa.Text),
        sa.Column("express", sa.Boolean),
        sa.Column("created_at", sa.BigInteger),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("requested_round", sa.Integer, nullable=False),
        sa.Column("cancelled_round", sa.Integer, nullable=False),
        sa.Column("cancel_requested_at", sa.BigInteger),
        sa.Column("finished_round", sa.Integer, nullable=False),
        sa.Column("finished_outcome", sa.Text),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("batches_activated", sa.Integer, nullable=False),
        sa.Column("batches_refused", sa.Integer, nullable=False),
        sa.Column("answered_at", sa.BigInteger),
        sa.Column("refusal", sa.Text),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("created_hospitals", sa.Integer, nullable=False),
        sa.Column("failed_hospitals", sa.Integer, nullable=False),
        sa.Column("unprocessed_hospitals", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text),
        sa.Column("activated", sa.Boolean, nullable=False),
        sa.Column("completed_at", sa.BigInteger),
        sa.Column("due_round", sa.Integer),
    )
    op.create_index("status_jobs_newest_of_all", "status_jobs", ["created_at", "job_id"])
    op.create_index("status_jobs_newest", "status_jobs", ["tenant", "created_at", "job_id"])
    op.create_index("status_jobs_newest_by_status", "status_jobs", ["tenant", "status", "created_at", "job_id"])
    op.create_index(
        "status_jobs_due",
        "status_jobs",
        ["partition", "job_id"],
        sqlite_where=sa.text("due_round IS NOT NULL"),
        postgresql_where=sa.text("due_round IS NOT NULL"),
    )


def _batches() -> None:
    op.create_table(
        "status_batches",
        sa.Column("batch_id", sa.Text, primary_key=True),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
    )
    op.create_index("status_batches_of_job", "status_batches", ["job_id", "position"])


def _activations() -> None:
    op.create_table(
        "status_activations",
        sa.Column("batch_id", sa.Text, primary_key=True),
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("activated", sa.Boolean, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("http_status", sa.Integer),
        sa.Column("answered_at", sa.BigInteger, nullable=False),
    )
    op.create_index("status_activations_of_job", "status_activations", ["job_id"])


def _rows() -> None:
    op.create_table(
        "status_rows",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("row", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("batch_id", sa.Text),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("hospital_id", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("error_code", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("http_status", sa.Integer),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger, nullable=False),
        sa.Column("columns", sa.Text, nullable=False),
    )
    op.create_index(
        "status_rows_not_created",
        "status_rows",
        ["job_id", "status", "row"],
        sqlite_where=sa.text("status <> 'created'"),
        postgresql_where=sa.text("status <> 'created'"),
    )


def _resolutions() -> None:
    op.create_table(
        "status_resolutions",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("row", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("round", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("hospital_id", sa.Text),
        sa.Column("resolved_by", sa.Text, nullable=False),
        sa.Column("resolved_at", sa.BigInteger, nullable=False),
    )


def _tallies() -> None:
    op.create_table(
        "status_tallies",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("round", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("status", sa.Text, primary_key=True),
        sa.Column("hospitals", sa.Integer, nullable=False),
    )


def _pace() -> None:
    op.create_table(
        "status_pace",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("slot", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hospitals", sa.Integer, nullable=False),
    )


def _processors() -> None:
    op.create_table(
        "status_processors",
        sa.Column("instance", sa.Text, primary_key=True),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("report", sa.Text, nullable=False),
    )
