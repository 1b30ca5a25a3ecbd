"""Which columns of a job became name, address and phone."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Jobs that are there already have columns of these names."""
    op.add_column("status_jobs", sa.Column("fields", sa.Text))
