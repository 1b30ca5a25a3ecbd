"""What the status service is told by the environment."""

import base64
import binascii
import re
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
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


_TENANT: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what a secret begins with
#: As Standard Webhooks says.
_SECRET_BYTES: Final = range(24, 65)


def parse_webhooks(text: str) -> dict[str, tuple[str, ...]]:
    """`tenant=https://…,tenant=https://…`: the addresses of each tenant, which may have several.

    Raises ValueError naming the entry that is wrong, never its value: an address may hold a secret.
    """
    found: dict[str, tuple[str, ...]] = {}
    for number, entry in enumerate(filter(None, (part.strip() for part in text.split(","))), start=1):
        tenant, equals, url = (part.strip() for part in entry.partition("="))
        if not equals or not _TENANT.fullmatch(tenant) or not _is_address(url):
            raise ValueError(f"entry {number} is not tenant=https://… (a comma in an address is written %2C)")
        found[tenant] = (*found.get(tenant, ()), *(() if url in found.get(tenant, ()) else (url,)))
    return found


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and url.isascii()
            and url.isprintable()
        )
    except ValueError:
        return False


class WebhookSettings(Settings):
    """Who is told when a job has finished."""

    #: Addresses by tenant; without API keys the tenant is `default`.
    webhooks: SecretStr = SecretStr("")
    #: `whsec_` and 24 to 64 bytes in Base64: signs every message.
    webhook_secret: SecretStr = SecretStr("")

    @field_validator("webhooks")
    @classmethod
    def _well_formed(cls, value: SecretStr) -> SecretStr:
        parse_webhooks(value.get_secret_value())
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _usable(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text and (not text.startswith(_SECRET_PREFIX) or len(_secret_bytes(text)) not in _SECRET_BYTES):
            raise ValueError("is not whsec_ and 24 to 64 bytes in Base64")
        return value

    @model_validator(mode="after")
    def _signed(self) -> Self:
        if self.webhook_addresses and not self.webhook_secret.get_secret_value():
            raise ValueError("WEBHOOK_SECRET is needed when WEBHOOKS is set: whsec_ and 24 to 64 bytes in Base64")
        return self

    @property
    def webhook_addresses(self) -> dict[str, tuple[str, ...]]:
        """The addresses of each tenant."""
        return parse_webhooks(self.webhooks.get_secret_value())

    @property
    def webhook_key(self) -> bytes:
        """What messages are signed with."""
        return _secret_bytes(self.webhook_secret.get_secret_value())


def _secret_bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text.removeprefix(_SECRET_PREFIX), validate=True)
    except binascii.Error:
        return b""


class StatusSettings(
    KafkaSettings,
    HttpSettings,
    TenantSettings,
    LogSettings,
    DatabaseSettings,
    SettleTimeSettings,
    RetentionSettings,
    WebhookSettings,
):
    """Everything the status service is told."""

    http_port: Port = 8002


class MigrationSettings(DatabaseSettings, LogSettings):
    """What `python -m services.status migrate` is told."""


class RebuildSettings(KafkaSettings, DatabaseSettings, RetentionSettings, LogSettings):
    """What `python -m services.status rebuild` is told."""
