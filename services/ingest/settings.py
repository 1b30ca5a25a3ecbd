"""The settings of the ingest service, from the environment."""

from typing import Annotated

from pydantic import Field
from sqlalchemy import URL

from shared.runtime.databases import DatabaseUrl, database_url
from shared.runtime.settings import HttpSettings, KafkaSettings, LogSettings, Port, RateLimitSettings, TenantSettings


class IngestSettings(KafkaSettings, HttpSettings, TenantSettings, LogSettings, RateLimitSettings):
    """Limits, the database, and the rate that estimates are made from."""

    http_port: Port = 8001
    ingest_database_url: DatabaseUrl = "sqlite:///ingest.db"
    max_csv_rows: Annotated[int, Field(ge=1)] = 1_000_000
    max_upload_bytes: Annotated[int, Field(ge=1)] = 150 * 1024 * 1024
    #: Jobs of at most so many rows go express, so that they hardly wait for a huge one.
    express_max_rows: Annotated[int, Field(ge=0)] = 1_000
    #: Most hospitals in one batch of the directory: a look-up of a batch stays small.
    batch_rows: Annotated[int, Field(ge=1, le=1_000)] = 1_000
    #: How long an answer is remembered under its key, in seconds from the answer.
    idempotency_ttl_seconds: Annotated[float, Field(gt=0)] = 300.0
    #: Uploads and dry runs that a tenant may send in a minute; 0 = no limit.
    tenant_uploads_per_minute: Annotated[int, Field(ge=0)] = 3_000

    @property
    def database(self) -> URL:
        """The database's URL with its driver."""
        return database_url(self.ingest_database_url)

    def estimated_seconds(self, rows: int) -> float | None:
        """How long so many rows take at the configured rate; None when there is no limit."""
        return None if self.rate_per_second is None else round(rows / self.rate_per_second, 1)
