"""The version of the tables. SQLite's are brought up to date at each start, PostgreSQL's by `migrate` alone."""

from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from shared.runtime.schema_versions import SchemaVersions

VERSION_TABLE: Final = "status_alembic_version"
versions: Final = SchemaVersions(
    Path(__file__).parent / "migrations", VERSION_TABLE, "python -m services.status migrate"
)
migrate = versions.migrate


async def check_schema(engine: AsyncEngine) -> str:
    """The version of the tables. Raises SchemaOutdated unless it is the one that this code needs."""
    async with engine.connect() as connection:
        return await connection.run_sync(versions.check)
