"""What the status service is told by the environment."""

from pydantic import field_validator
from sqlalchemy import URL

from shared.databases import database_url
from shared.settings import HttpSettings, KafkaSettings, LogSettings, Port, Settings, TenantSettings


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


class StatusSettings(KafkaSettings, HttpSettings, TenantSettings, LogSettings, DatabaseSettings):
    """Everything the status service is told."""

    http_port: Port = 8002


class MigrationSettings(DatabaseSettings, LogSettings):
    """What `python -m services.status migrate` is told."""
