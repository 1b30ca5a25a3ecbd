"""How the services reach Kafka. Every option that decides whether data is lost is set here, none is left to a default.

The reasons, aiokafka 0.14: a producer's defaults are acks=1 and not idempotent; a consumer's are auto-commit,
`latest` and read_uncommitted. Each of them loses or invents records.
"""

from typing import Any, Final

from shared.contract.topics import MAX_MESSAGE_BYTES
from shared.runtime.kafka.clients import AdminClient
from shared.runtime.settings import KafkaSettings

REQUEST_TIMEOUT_MS: Final = 10_000
#: How every consumer reads, whoever makes it: committed records only, and no jump that nobody asked for.
SAFE_READING: Final[dict[str, Any]] = {
    "auto_offset_reset": "none",
    "isolation_level": "read_committed",
    # A record larger than this would be skipped with only a log line (aiokafka #1173).
    "max_partition_fetch_bytes": MAX_MESSAGE_BYTES + 4096,
}


def connection_options(settings: KafkaSettings) -> dict[str, Any]:
    """What every aiokafka client needs to connect."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": settings.kafka_security_protocol,
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
    }
    if "SSL" in settings.kafka_security_protocol:
        options["ssl_context"] = settings.ssl_context()
    if settings.kafka_security_protocol.startswith("SASL"):
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_sasl_username
        options["sasl_plain_password"] = settings.kafka_sasl_password.get_secret_value()
    return options


def producer_options(settings: KafkaSettings) -> dict[str, Any]:
    """The options of an AIOKafkaProducer: idempotent, acknowledged by all replicas in sync."""
    return {
        **connection_options(settings),
        "enable_idempotence": True,
        "acks": "all",
        "max_request_size": MAX_MESSAGE_BYTES,
    }


def consumer_options(settings: KafkaSettings) -> dict[str, Any]:
    """The options of an AIOKafkaConsumer: it reads safely, and commits only what it is told to."""
    return {**connection_options(settings), **SAFE_READING, "enable_auto_commit": False}


def admin_client(settings: KafkaSettings) -> AdminClient:
    """An admin client, not started."""
    return AdminClient(**connection_options(settings))
