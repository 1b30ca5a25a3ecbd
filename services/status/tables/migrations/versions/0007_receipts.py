"""What a job finished with, as its receipt."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Jobs that have finished already have none."""
    op.add_column("status_jobs", sa.Column("receipt", sa.Text))
