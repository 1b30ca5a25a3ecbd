"""What the status service is told by the environment."""

from typing import Annotated

from pydantic import Field
from sqlalchemy import URL

from shared.runtime.databases import DatabaseUrl, database_url
from shared.runtime.settings import (
    HttpSettings,
    KafkaSettings,
    LogSettings,
    Port,
    Settings,
    SettleTimeSettings,
    TenantSettings,
)


class DatabaseSettings(Settings):
    """Where the tables are: SQLite for one machine, PostgreSQL for production."""

    status_database_url: DatabaseUrl = "sqlite:///status.db"

    @property
    def url(self) -> URL:
        """The database with its driver."""
        return database_url(self.status_database_url)


class RetentionSettings(Settings):
    """How long finished jobs are kept."""

    job_retention_days: Annotated[float, Field(gt=0, le=36_500)] = 30.0


class StatusSettings(
    KafkaSettings, HttpSettings, TenantSettings, LogSettings, DatabaseSettings, SettleTimeSettings, RetentionSettings
):
    """Everything the status service is told."""

    http_port: Port = 8002


class MigrationSettings(DatabaseSettings, LogSettings):
    """What `python -m services.status migrate` is told."""


class RebuildSettings(KafkaSettings, DatabaseSettings, RetentionSettings, LogSettings):
    """What `python -m services.status rebuild` is told."""
