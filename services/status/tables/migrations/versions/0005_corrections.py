"""Corrections, the history of a job, and commands that the service gives by itself."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Jobs that are there already have no corrections, and no history before this moment."""
    _columns()
    op.create_table(
        "status_corrections",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("corrects", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("named_rows", sa.Text, nullable=False),
        sa.Column("unmatched", sa.Boolean, nullable=False),
    )
    op.create_index("status_corrections_of_job", "status_corrections", ["corrects"])
    op.create_index(
        "status_corrections_unmatched",
        "status_corrections",
        ["job_id"],
        sqlite_where=sa.text("unmatched"),
        postgresql_where=sa.text("unmatched"),
    )
    op.create_table(
        "status_history",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("round", sa.Integer),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
    )


def _columns() -> None:
    none = sa.text("0")
    for column in (
        sa.Column("max_failures", sa.Integer),
        sa.Column("cancel_reason", sa.Text),
        sa.Column("filled_batches", sa.Integer),
        sa.Column("activations_requested", sa.Integer, nullable=False, server_default=none),
        sa.Column("corrected_hospitals", sa.Integer, nullable=False, server_default=none),
        sa.Column("due_command", sa.Text),
    ):
        op.add_column("status_jobs", column)
    op.add_column("status_rows", sa.Column("carried_over", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index(
        "status_jobs_due_command",
        "status_jobs",
        ["due_command", "partition", "job_id"],
        sqlite_where=sa.text("due_command IS NOT NULL"),
        postgresql_where=sa.text("due_command IS NOT NULL"),
    )
    op.execute("UPDATE status_jobs SET cancel_reason = 'user' WHERE cancelled_round > 0")
