"""The tables and their versions."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from services.status.program import bring_up_to_date
from services.status.settings import MigrationSettings
from services.status.tables.definitions import metadata
from services.status.tables.schema_version import VERSION_TABLE, check_schema, versions
from shared.runtime.databases import create_engine, database_url
from shared.runtime.schema_versions import SchemaOutdated


async def test_the_migrations_make_the_tables_that_the_code_uses(engine):
    """Columns, keys and indexes, on both databases."""

    def differences(connection):
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_an_empty_database_is_told_apart_from_a_current_one(postgres_url):
    """The reason says what to do."""
    engine = create_engine(database_url(postgres_url))
    with pytest.raises(SchemaOutdated, match=r"python -m services\.status migrate"):
        await check_schema(engine)
    await bring_up_to_date(MigrationSettings(status_database_url=postgres_url))
    assert await check_schema(engine) == versions.newest
    await engine.dispose()
