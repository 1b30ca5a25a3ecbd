"""Reservations of keys, and the files that became jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes both tables."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "ingest_reservations",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("job_id", sa.String(36), nullable=False, unique=True),
        sa.Column("fingerprint", sa.String(128), nullable=False),
        sa.Column("file_sha256", sa.String(64), nullable=False),
        sa.Column("file_name", sa.String(255), nullable=False),
        sa.Column("jobs_partition", sa.Integer, nullable=False),
        sa.Column("jobs_offset", sa.BigInteger, nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False),
        sa.Column("reserved_at", moment, nullable=False),
        sa.Column("lease_until", moment, nullable=False),
        sa.Column("expires_at", moment),
    )
    op.create_index("ingest_reservations_expiry", "ingest_reservations", ["expires_at", "lease_until"])
    op.create_table(
        "ingest_accepted_files",
        sa.Column("job_id", sa.String(36), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("file_sha256", sa.String(64), nullable=False),
        sa.Column("created_at", moment, nullable=False),
    )
    op.create_index(
        "ingest_accepted_files_by_content", "ingest_accepted_files", ["tenant", "file_sha256", "created_at"]
    )
    op.create_index("ingest_accepted_files_by_age", "ingest_accepted_files", ["created_at"])


def downgrade() -> None:
    """Removes both tables."""
    op.drop_table("ingest_accepted_files")
    op.drop_table("ingest_reservations")
