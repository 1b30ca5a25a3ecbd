"""The version of the tables. SQLite's are brought up to date at each start, PostgreSQL's by `migrate` alone."""

from pathlib import Path
from typing import Final

from shared.runtime.schema_versions import SchemaVersions

VERSION_TABLE: Final = "ingest_alembic_version"
versions: Final = SchemaVersions(
    Path(__file__).parent / "migrations", VERSION_TABLE, "python -m services.ingest migrate"
)
migrate = versions.migrate
check_schema = versions.check
