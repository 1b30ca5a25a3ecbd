"""The tables of the ingest service: keys in use, and files that were accepted."""

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import BigInteger, DateTime, Dialect, Index, Table
from sqlalchemy.orm import registry
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel


class UtcTime(TypeDecorator[datetime]):
    """A time in UTC. SQLite has no time zones and stores it without one."""

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


class IngestTable(SQLModel, registry=registry()):
    """The base of the tables of this service, which have a registry of their own."""


metadata: Final = IngestTable.metadata


def table_of(model: type[IngestTable]) -> Table:
    """The table behind a model, for statements of SQLAlchemy Core."""
    return model.metadata.tables[str(model.__tablename__)]


class Reservation(IngestTable, table=True):
    """A key in use: from before the first record is sent until the answer expires."""

    __tablename__ = "ingest_reservations"
    __table_args__ = (Index("ingest_reservations_expiry", "expires_at", "lease_until"),)

    tenant: str = Field(primary_key=True, max_length=64)
    key: str = Field(primary_key=True, max_length=255)
    job_id: str = Field(max_length=36, unique=True)
    #: A hash of the file's bytes, and the parameters. Another fingerprint is another request.
    fingerprint: str = Field(max_length=128)
    file_sha256: str = Field(max_length=64)
    file_name: str = Field(max_length=255)
    #: The job's partition of hospital.jobs, and an offset in it below which its JobAccepted cannot be.
    jobs_partition: int
    jobs_offset: int = Field(sa_type=BigInteger)
    #: The answer, stored before the job is written, so that recovery gives the same one.
    answer: bytes
    reserved_at: datetime = Field(sa_type=UtcTime)
    #: While in progress: nobody else may settle it before this time.
    lease_until: datetime = Field(sa_type=UtcTime)
    #: NULL while in progress; afterwards the time when the answer expires.
    expires_at: datetime | None = Field(default=None, sa_type=UtcTime)


class AcceptedFile(IngestTable, table=True):
    """A file that became a job, to warn when the same file is uploaded again."""

    __tablename__ = "ingest_accepted_files"
    __table_args__ = (
        Index("ingest_accepted_files_by_content", "tenant", "file_sha256", "created_at"),
        Index("ingest_accepted_files_by_age", "created_at"),
    )

    job_id: str = Field(primary_key=True, max_length=36)
    tenant: str = Field(max_length=64)
    file_sha256: str = Field(max_length=64)
    created_at: datetime = Field(sa_type=UtcTime)


reservations: Final = table_of(Reservation)
accepted_files: Final = table_of(AcceptedFile)
