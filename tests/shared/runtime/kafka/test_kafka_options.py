"""The connection as aiokafka and FastStream want it."""

import pytest
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from services.processor.kafka_security import security as as_faststream
from shared.runtime.kafka import kafka_options
from shared.runtime.settings import KafkaSettings

SASL = {"kafka_sasl_username": "ingest", "kafka_sasl_password": "hunter2"}


def test_plain_text_needs_nothing_but_servers():
    """The local broker."""
    settings = KafkaSettings(kafka_bootstrap_servers="a:1,b:2")
    assert kafka_options.connection_options(settings) == {
        "bootstrap_servers": "a:1,b:2",
        "security_protocol": "PLAINTEXT",
        "request_timeout_ms": kafka_options.REQUEST_TIMEOUT_MS,
    }
    assert as_faststream(settings) is None


@pytest.mark.parametrize(
    ("mechanism", "kind"),
    [("PLAIN", SASLPlaintext), ("SCRAM-SHA-256", SASLScram256), ("SCRAM-SHA-512", SASLScram512)],
)
@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_sasl_is_the_same_for_both_libraries(protocol, mechanism, kind):
    """One set of variables, one identity."""
    settings = KafkaSettings(kafka_security_protocol=protocol, kafka_sasl_mechanism=mechanism, **SASL)
    options, security = kafka_options.connection_options(settings), as_faststream(settings)
    assert options["sasl_mechanism"] == mechanism
    assert type(security) is kind
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("ingest", "hunter2")
    assert (security.username, security.password) == ("ingest", "hunter2")
    assert security.use_ssl is ("ssl_context" in options) is (protocol == "SASL_SSL")


def test_tls_without_sasl():
    """A broker that knows its clients by their certificates."""
    settings = KafkaSettings(kafka_security_protocol="SSL")
    assert kafka_options.connection_options(settings)["ssl_context"].check_hostname
    assert type(as_faststream(settings)) is BaseSecurity
