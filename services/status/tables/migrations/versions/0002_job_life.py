"""Searching for jobs, and when a cancelled one is over."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds what the next events tell; jobs that are there already can be searched for at once."""
    op.add_column("status_jobs", sa.Column("searched", sa.Text))
    op.add_column("status_jobs", sa.Column("requested_offset", sa.BigInteger))
    op.add_column("status_jobs", sa.Column("cancel_settles_at", sa.BigInteger))
    op.execute("UPDATE status_jobs SET searched = lower(file_name || ' ' || job_id)")
