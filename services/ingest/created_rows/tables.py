"""The tables of created rows: the hashes of each job's rows, and how far the results were read."""

from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, Index, Text
from sqlmodel import Field

from services.ingest.keys.tables import IngestTable, UtcTime, table_of


class CreatedChunk(IngestTable, table=True):
    """Some created rows of one job, at most 1,024: twelve bytes each, the hash and the row number."""

    __tablename__ = "ingest_created_chunks"
    __table_args__ = (
        Index("ingest_created_chunks_by_sequence", "tenant", "sequence"),
        Index("ingest_created_chunks_by_age", "last_at"),
    )

    job_id: str = Field(primary_key=True, max_length=36)
    part: int = Field(primary_key=True)
    tenant: str = Field(max_length=64)
    #: Grows with every change of any chunk: who has read up to one knows what is new.
    sequence: int = Field(sa_type=BigInteger)
    size: int
    #: When its first and its last row were created.
    first_at: datetime = Field(sa_type=UtcTime)
    last_at: datetime = Field(sa_type=UtcTime)
    #: 8 bytes a row, little-endian.
    hashes: bytes
    #: 4 bytes a row, little-endian.
    rows: bytes


class CreatedProgress(IngestTable, table=True):
    """The one row that says how far the results were read. Changed in the transaction of the chunks."""

    __tablename__ = "ingest_created_progress"

    id: int = Field(primary_key=True)
    #: The highest sequence so far. Compared and set by every change, so that two replicas cannot count a result twice.
    sequence: int = Field(sa_type=BigInteger)
    #: Grows when everything is begun anew.
    epoch: int
    #: The key of all hashes.
    secret: bytes
    #: The Kafka cluster that the offsets are of; empty before the first.
    cluster: str = Field(max_length=255)
    #: JSON: the offset that comes next, for each partition.
    offsets: str = Field(sa_type=Text)
    #: The replica that reads, and until when the others leave it to that.
    reader: str = Field(max_length=64)
    lease_until: datetime = Field(sa_type=UtcTime)


created_chunks: Final = table_of(CreatedChunk)
created_progress: Final = table_of(CreatedProgress)
