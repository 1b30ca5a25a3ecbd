"""The tables of the ingest service: keys that are in use, and files that were accepted."""

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, DateTime, Dialect, Index, Integer, LargeBinary, MetaData, String, Table
from sqlalchemy.types import TypeDecorator


class UtcTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite, which knows no time zones, stores it without."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """From the database."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


metadata: Final = MetaData()

#: A key that is in use: from before the first record is sent until its answer is forgotten.
reservations: Final = Table(
    "ingest_reservations",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("job_id", String(36), nullable=False, unique=True),
    #: Of the file's bytes and the parameters: another one is another request.
    Column("fingerprint", String(128), nullable=False),
    Column("file_sha256", String(64), nullable=False),
    Column("file_name", String(255), nullable=False),
    #: The job's partition of hospital.jobs, and an offset in it below which its JobAccepted cannot be.
    Column("jobs_partition", Integer, nullable=False),
    Column("jobs_offset", BigInteger, nullable=False),
    #: The answer, written before the job, so that whoever settles it gives the same.
    Column("answer", LargeBinary, nullable=False),
    Column("reserved_at", UtcTime, nullable=False),
    #: While in progress: until then nobody else may settle it.
    Column("lease_until", UtcTime, nullable=False),
    #: NULL while in progress; once answered: when the answer is forgotten.
    Column("expires_at", UtcTime),
    Index("ingest_reservations_expiry", "expires_at", "lease_until"),
)

#: Files that became jobs, to warn of the same file being uploaded again.
accepted_files: Final = Table(
    "ingest_accepted_files",
    metadata,
    Column("job_id", String(36), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("file_sha256", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Index("ingest_accepted_files_by_content", "tenant", "file_sha256", "created_at"),
    Index("ingest_accepted_files_by_age", "created_at"),
)
