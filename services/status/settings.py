"""What the status service is told by the environment."""

from typing import Annotated

from pydantic import Field, PositiveFloat, field_validator
from sqlalchemy import URL

from shared.runtime.databases import database_url
from shared.runtime.settings import HttpSettings, KafkaSettings, LogSettings, Port, Settings, TenantSettings


class DatabaseSettings(Settings):
    """Where the tables are: SQLite for one machine, PostgreSQL for production."""

    status_database_url: str = "sqlite:///status.db"

    @field_validator("status_database_url")
    @classmethod
    def _supported(cls, value: str) -> str:
        database_url(value)
        return value

    @property
    def url(self) -> URL:
        """The database with its driver."""
        return database_url(self.status_database_url)


class SettlingSettings(Settings):
    """How long something that was sent may be under way, as the processors are told it. Times in seconds."""

    lease_seconds: Annotated[float, Field(ge=1, le=300)] = 10.0
    hospital_api_timeout: PositiveFloat = 10.0
    hospital_api_settle_seconds: Annotated[float, Field(ge=0)] = 30.0

    @property
    def settling_seconds(self) -> float:
        """Until everything that was sent before has been settled."""
        return self.lease_seconds + self.hospital_api_timeout + self.hospital_api_settle_seconds


class RetentionSettings(Settings):
    """How long finished jobs are kept."""

    job_retention_days: Annotated[float, Field(gt=0, le=36_500)] = 30.0


class StatusSettings(
    KafkaSettings, HttpSettings, TenantSettings, LogSettings, DatabaseSettings, SettlingSettings, RetentionSettings
):
    """Everything the status service is told."""

    http_port: Port = 8002


class MigrationSettings(DatabaseSettings, LogSettings):
    """What `python -m services.status migrate` is told."""


class RebuildSettings(KafkaSettings, DatabaseSettings, RetentionSettings, LogSettings):
    """What `python -m services.status rebuild` is told."""
