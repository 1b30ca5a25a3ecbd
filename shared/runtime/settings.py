"""Settings from the environment. A wrong one stops the start with one line that names the variable."""

import re
import ssl
import sys
from typing import Annotated, Literal, NoReturn, TypeVar

from pydantic import BaseModel, Field, PositiveFloat, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.contract.topics import Topics

S = TypeVar("S", bound=BaseSettings)
Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseSettings):
    """What all settings have in common: read from the environment only, never changed."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)


class KafkaSettings(Settings):
    """How to reach Kafka and how its topics are made."""

    kafka_bootstrap_servers: str = "localhost:9092"
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_sasl_username: str = ""
    kafka_sasl_password: SecretStr = SecretStr("")
    kafka_ssl_cafile: str | None = None
    kafka_ssl_certfile: str | None = None
    kafka_ssl_keyfile: str | None = None
    kafka_ssl_key_password: SecretStr | None = None
    kafka_topic_partitions: Annotated[int, Field(ge=1, le=1000)] = 6
    kafka_replication_factor: Annotated[int, Field(ge=1, le=10)] = 1
    #: How many copies a record needs before it counts as written. Not set: 2 where there are 3 or more, else 1.
    kafka_min_insync_replicas: Annotated[int, Field(ge=1, le=10)] | None = None
    #: Goes in front of every topic, group and transactional id, so that installations can share a cluster.
    kafka_topic_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,60}$")] = ""

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        for server in value.split(","):
            host, colon, port = server.strip().rpartition(":")
            if not (host and colon and port.isdecimal() and int(port) < 65536):
                raise ValueError(f"{server!r} is not host:port (several are separated by commas)")
        return value

    @model_validator(mode="after")
    def _copies_can_be_made(self) -> "KafkaSettings":
        copies = self.kafka_replication_factor
        if self.min_insync_replicas > copies:
            raise ValueError(f"KAFKA_MIN_INSYNC_REPLICAS may be {copies} at most, which is KAFKA_REPLICATION_FACTOR")
        return self

    @model_validator(mode="after")
    def _sasl_needs_a_user(self) -> "KafkaSettings":
        if self.kafka_security_protocol.startswith("SASL") and not self.kafka_sasl_username:
            raise ValueError("KAFKA_SASL_USERNAME is needed when KAFKA_SECURITY_PROTOCOL uses SASL")
        return self

    @model_validator(mode="after")
    def _tls_files_can_be_used(self) -> "KafkaSettings":
        self.ssl_context()
        return self

    @property
    def min_insync_replicas(self) -> int:
        """How many copies a record needs before it counts as written."""
        return self.kafka_min_insync_replicas or (2 if self.kafka_replication_factor >= 3 else 1)

    @property
    def topics(self) -> Topics:
        """The topics of this installation."""
        return Topics(self.kafka_topic_prefix, self.kafka_topic_partitions)

    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS context, None when the protocol uses none. Raises ValueError when a file cannot be used."""
        if "SSL" not in self.kafka_security_protocol:
            return None
        try:
            context = ssl.create_default_context(cafile=self.kafka_ssl_cafile)
        except OSError as error:
            raise ValueError(f"KAFKA_SSL_CAFILE cannot be used: {error.strerror or error}") from error
        if self.kafka_ssl_certfile:
            self._present_ourselves(context, self.kafka_ssl_certfile)
        return context

    def _present_ourselves(self, context: ssl.SSLContext, certificate: str) -> None:
        # Without any password OpenSSL would ask for one at the terminal.
        password = self.kafka_ssl_key_password.get_secret_value() if self.kafka_ssl_key_password else ""
        try:
            context.load_cert_chain(certificate, self.kafka_ssl_keyfile, password)
        except OSError as error:
            reason = error.strerror or error
            raise ValueError(
                f"KAFKA_SSL_CERTFILE with KAFKA_SSL_KEYFILE and KAFKA_SSL_KEY_PASSWORD cannot be used: {reason}"
            ) from error


class HttpSettings(Settings):
    """Where a service listens. Port 0 takes a free one; the first log line names it."""

    http_host: str = "127.0.0.1"
    http_port: Port = 0


class LogSettings(Settings):
    """How much is logged, and for whom."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "console"] = "json"

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value


class RateLimitSettings(Settings):
    """How many requests the directory takes: the processors keep to it, ingest estimates from it."""

    #: Requests in a period, over all processors; 0 = no limit. Less than one a second: make the period longer.
    rate_limit_requests: Annotated[int, Field(ge=0)] = 10
    #: The period in seconds.
    rate_limit_period: PositiveFloat = 1.0

    @field_validator("rate_limit_requests", mode="before")
    @classmethod
    def _whole(cls, value: object) -> object:
        if isinstance(value, str) and re.fullmatch(r"\d*\.\d+", value) and float(value) % 1:
            raise ValueError(f"has to be a whole number, not {value}: for a slower rate make RATE_LIMIT_PERIOD longer")
        return value

    @property
    def rate_per_second(self) -> float | None:
        """Requests per second over all processors; None without a limit."""
        return self.rate_limit_requests / self.rate_limit_period if self.rate_limit_requests else None


class SettleTimeSettings(Settings):
    """How long a call may still be under way: processors and status have to be told the same. Seconds."""

    #: How long a lane may send after its last commit.
    lease_seconds: Annotated[float, Field(ge=1, le=300)] = 10.0
    #: A call's deadline.
    hospital_api_timeout: PositiveFloat = 10.0
    #: How long after its deadline a call may still create a hospital.
    hospital_api_settle_seconds: Annotated[float, Field(ge=0)] = 30.0

    @property
    def settling_seconds(self) -> float:
        """After so long everything that was sent before has been settled."""
        return self.lease_seconds + self.hospital_api_timeout + self.hospital_api_settle_seconds


class ApiKey(BaseModel):
    """One tenant and the SHA-256 (64 hex digits) of its key."""

    tenant: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def parse_api_keys(text: str) -> tuple[ApiKey, ...]:
    """`tenant:sha256,tenant:sha256`. Raises ValueError naming the entry that is wrong, never its value."""
    keys = []
    for number, entry in enumerate(filter(None, (part.strip() for part in text.split(","))), start=1):
        tenant, _, digest = entry.partition(":")
        try:
            keys.append(ApiKey(tenant=tenant, sha256=digest.lower()))
        except ValidationError as error:
            raise ValueError(f"entry {number} is not tenant:sha256 with 64 hexadecimal digits") from error
    return tuple(keys)


class TenantSettings(Settings):
    """Who may use the HTTP API. No keys: everybody, as one tenant."""

    api_keys: SecretStr = SecretStr("")

    @field_validator("api_keys")
    @classmethod
    def _well_formed(cls, value: SecretStr) -> SecretStr:
        parse_api_keys(value.get_secret_value())
        return value

    @property
    def tenants(self) -> tuple[ApiKey, ...]:
        """The tenants with their hashed keys; empty = open."""
        return parse_api_keys(self.api_keys.get_secret_value())


def load(kind: type[S]) -> S:
    """The settings from the environment; a wrong value ends the process with one line that names the variable."""
    try:
        return kind()
    except ValidationError as error:
        stop(_one_line(error))


def stop(reason: str) -> NoReturn:
    """Ends the process before it began, with one line on standard error."""
    sys.stderr.write(f"Not started: {reason}\n")
    raise SystemExit(2)


def _one_line(error: ValidationError) -> str:
    return "; ".join(
        " ".join(filter(None, [str(problem["loc"][0]).upper() if problem["loc"] else "", _words(problem["msg"])]))
        for problem in error.errors(include_url=False, include_input=False, include_context=False)
    )


def _words(message: str) -> str:
    return message.removeprefix("Value error, ").replace("\n", " ")
