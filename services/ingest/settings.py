"""The settings of the ingest service, from the environment."""

from math import ceil
from typing import Annotated, Final

from pydantic import Field, model_validator
from sqlalchemy import URL

from shared.runtime.databases import DatabaseUrl, database_url
from shared.runtime.settings import HttpSettings, KafkaSettings, LogSettings, Port, RateLimitSettings, TenantSettings

#: A job's events name all of its batches: 39 bytes each, of the 1 MB that Kafka takes in one record.
MAX_BATCHES: Final = 25_000
MAX_BATCH_ROWS: Final = 1_000


class IngestSettings(KafkaSettings, HttpSettings, TenantSettings, LogSettings, RateLimitSettings):
    """Limits, the database, and the rate that estimates are made from."""

    http_port: Port = 8001
    ingest_database_url: DatabaseUrl = "sqlite:///ingest.db"
    max_csv_rows: Annotated[int, Field(ge=1)] = 1_000_000
    max_upload_bytes: Annotated[int, Field(ge=1)] = 150 * 1024 * 1024
    #: Jobs of at most so many rows go express, so that they hardly wait for a huge one.
    express_max_rows: Annotated[int, Field(ge=0)] = 1_000
    #: Most hospitals in one batch of the directory: a look-up of a batch stays small.
    batch_rows: Annotated[int, Field(ge=1, le=MAX_BATCH_ROWS)] = MAX_BATCH_ROWS
    #: How long an answer is remembered under its key, in seconds from the answer.
    idempotency_ttl_seconds: Annotated[float, Field(gt=0)] = 300.0
    #: Uploads and dry runs that a tenant may send in a minute; 0 = no limit.
    tenant_uploads_per_minute: Annotated[int, Field(ge=0)] = 3_000

    @model_validator(mode="after")
    def _events_can_name_the_batches(self) -> "IngestSettings":
        batches, least = ceil(self.max_csv_rows / self.batch_rows), ceil(self.max_csv_rows / MAX_BATCHES)
        if batches > MAX_BATCHES:
            larger = f"BATCH_ROWS to at least {least}, or " if least <= MAX_BATCH_ROWS else ""
            raise ValueError(
                f"MAX_CSV_ROWS={self.max_csv_rows} with BATCH_ROWS={self.batch_rows} makes jobs of {batches:,} "
                f"batches, and an event can name {MAX_BATCHES:,}: set {larger}MAX_CSV_ROWS to at most "
                f"{MAX_BATCHES * self.batch_rows}"
            )
        return self

    @property
    def database(self) -> URL:
        """The database's URL with its driver."""
        return database_url(self.ingest_database_url)

    def estimated_seconds(self, rows: int) -> float | None:
        """How long so many rows take at the configured rate; None when there is no limit."""
        return None if self.rate_per_second is None else round(rows / self.rate_per_second, 1)
