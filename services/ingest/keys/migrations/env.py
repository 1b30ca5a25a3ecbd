"""Run by Alembic, on the connection that `shared.table_versions` hands over."""

from alembic import context

from services.ingest.keys.schema_version import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
