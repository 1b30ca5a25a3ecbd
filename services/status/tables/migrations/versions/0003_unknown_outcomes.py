"""How many rows of a job may be in the directory although they failed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_COUNT = """
INSERT INTO status_tallies (job_id, round, status, hospitals)
SELECT found.job_id, found.round, found.error_code, count(*) FROM status_rows AS found
WHERE found.status = 'failed' AND found.error_code = 'outcome_unknown' AND NOT EXISTS (
    SELECT 1 FROM status_resolutions AS decided
    WHERE decided.job_id = found.job_id AND decided."row" = found."row" AND decided.round = found.round
)
GROUP BY found.job_id, found.round, found.error_code
"""
_TELL = """
UPDATE status_jobs SET unknown_hospitals = tallies.hospitals FROM status_tallies AS tallies
WHERE tallies.job_id = status_jobs.job_id AND tallies.round = status_jobs.round AND tallies.status = 'outcome_unknown'
"""


def upgrade() -> None:
    """Counts those that are there already."""
    op.add_column(
        "status_jobs", sa.Column("unknown_hospitals", sa.Integer, nullable=False, server_default=sa.text("0"))
    )
    op.execute(_COUNT)
    op.execute(_TELL)
