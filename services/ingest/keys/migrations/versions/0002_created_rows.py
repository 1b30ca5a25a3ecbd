"""What the tenants' jobs have created: hashes of rows, and how far the results were read."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes both tables."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "ingest_created_chunks",
        sa.Column("job_id", sa.String(36), primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("first_at", moment, nullable=False),
        sa.Column("last_at", moment, nullable=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
        sa.Column("rows", sa.LargeBinary, nullable=False),
    )
    op.create_index("ingest_created_chunks_by_sequence", "ingest_created_chunks", ["tenant", "sequence"])
    op.create_index("ingest_created_chunks_by_age", "ingest_created_chunks", ["last_at"])
    op.create_table(
        "ingest_created_progress",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.Column("cluster", sa.String(255), nullable=False),
        sa.Column("offsets", sa.Text, nullable=False),
        sa.Column("reader", sa.String(64), nullable=False),
        sa.Column("lease_until", moment, nullable=False),
    )


def downgrade() -> None:
    """Removes both tables."""
    op.drop_table("ingest_created_progress")
    op.drop_table("ingest_created_chunks")
