"""Run by Alembic, on the connection that `services.ingest.schema` hands over."""

from alembic import context

from services.ingest.schema import VERSION_TABLE
from services.ingest.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
