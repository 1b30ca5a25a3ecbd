"""When the rounds of a job ran, and slots of a second in place of twenty."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

#: Of jobs that are there already only the whole time is known: it counts as that of their last round.
_TELL = """
UPDATE status_jobs SET timed_round = round, round_started_at = started_at, round_ended_at = finished_at
WHERE started_at IS NOT NULL
"""
_KEEP = """
INSERT INTO status_rounds (job_id, round, started_at, finished_at)
SELECT job_id, round, started_at, finished_at FROM status_jobs WHERE started_at IS NOT NULL
"""


def upgrade() -> None:
    """Slots that are there already are forgotten: they only tell of the last minute."""
    op.create_table(
        "status_rounds",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("round", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("finished_at", sa.BigInteger),
    )
    none = sa.text("0")
    op.add_column("status_jobs", sa.Column("timed_round", sa.Integer, nullable=False, server_default=none))
    op.add_column("status_jobs", sa.Column("round_started_at", sa.BigInteger))
    op.add_column("status_jobs", sa.Column("round_ended_at", sa.BigInteger))
    op.add_column("status_jobs", sa.Column("earlier_active", sa.BigInteger, nullable=False, server_default=none))
    op.execute(_TELL)
    op.execute(_KEEP)
    op.execute("DELETE FROM status_pace")
