"""A wrong value stops a service at its start with one line that names the variable."""

import hashlib
import os
import subprocess
import sys

import pytest
from pydantic import Field

from shared.runtime.settings import (
    HttpSettings,
    KafkaSettings,
    LogSettings,
    RateLimitSettings,
    Settings,
    SettleTimeSettings,
    TenantSettings,
    load,
    parse_api_keys,
)

DIGEST = hashlib.sha256(b"open sesame").hexdigest()


class ServiceSettings(KafkaSettings, HttpSettings, TenantSettings, LogSettings, RateLimitSettings):
    """What a service combines."""


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    """Only what a test sets counts."""
    for name in os.environ:
        if name.startswith(("KAFKA_", "HTTP_", "LOG_", "API_")):
            monkeypatch.delenv(name)


@pytest.fixture
def refusal(monkeypatch, capsys):
    """Sets variables, loads the settings, and returns the line on standard error."""

    def line(**variables: str) -> str:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as stopped:
            load(ServiceSettings)
        assert stopped.value.code == 2
        return capsys.readouterr().err

    return line


def test_the_defaults_are_those_of_the_contract():
    """A machine without any variable is a machine that somebody tries it on."""
    settings = load(ServiceSettings)
    assert settings.kafka_bootstrap_servers == "localhost:9092"
    assert settings.kafka_topic_partitions == settings.topics.partitions == 6
    assert settings.http_host == "127.0.0.1"
    assert settings.log_format == "json"
    assert settings.tenants == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "localhost"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:9092,,b:9092"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:99999"),
        ("KAFKA_SECURITY_PROTOCOL", "TLS"),
        ("KAFKA_SASL_MECHANISM", "GSSAPI"),
        ("KAFKA_TOPIC_PARTITIONS", "0"),
        ("KAFKA_TOPIC_PARTITIONS", "many"),
        ("KAFKA_REPLICATION_FACTOR", "0"),
        ("KAFKA_MIN_INSYNC_REPLICAS", "0"),
        ("KAFKA_MIN_INSYNC_REPLICAS", "2"),
        ("KAFKA_TOPIC_PREFIX", "two words"),
        ("HTTP_PORT", "70000"),
        ("HTTP_PORT", "http"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"),
        ("API_KEYS", "north"),
        ("API_KEYS", f"no spaces please:{DIGEST}"),
        ("API_KEYS", "north:open sesame"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_variable(refusal, name, value):
    """Whoever set it sees which, without a stack trace."""
    line = refusal(**{name: value})
    assert line.startswith(f"Not started: {name} ")
    assert line.count("\n") == 1


def test_every_wrong_variable_is_named_at_once(refusal):
    """Nobody likes to correct them one start at a time."""
    line = refusal(HTTP_PORT="-1", LOG_FORMAT="xml")
    assert "HTTP_PORT" in line
    assert "LOG_FORMAT" in line
    assert line.count("\n") == 1


def test_a_process_with_a_wrong_value_ends_with_that_line():
    """The same as an operator sees it: exit code 2, one line, no stack trace."""
    program = "from shared.runtime.settings import HttpSettings, load; load(HttpSettings)"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "HTTP_PORT": "eighty"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("Not started: HTTP_PORT ")
    assert ended.stderr.count("\n") == 1


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch):
    """Compose files pass `HTTP_PORT=` when nothing was chosen."""
    monkeypatch.setenv("HTTP_PORT", "")
    assert load(HttpSettings).http_port == 0


def test_a_log_level_may_be_written_in_any_case(monkeypatch):
    """`debug` is what people type."""
    monkeypatch.setenv("LOG_LEVEL", "debug")
    assert load(LogSettings).log_level == "DEBUG"


def test_a_value_that_is_not_text_is_judged_as_it_is():
    """Settings made by hand, in tests, get the same rules."""
    with pytest.raises(ValueError, match="log_level"):
        LogSettings(log_level=10)


def test_a_setting_that_is_missing_is_named(capsys):
    """A service may need one that has no default."""

    class NeedsDirectory(Settings):
        hospital_api_base_url: str = Field(...)

    with pytest.raises(SystemExit):
        load(NeedsDirectory)
    assert capsys.readouterr().err == "Not started: HOSPITAL_API_BASE_URL Field required\n"


def test_settings_cannot_be_changed():
    """What was read at the start holds until the end."""
    with pytest.raises(ValueError, match="frozen"):
        load(HttpSettings).http_port = 80


class TestApiKeys:
    """`tenant:sha256`, separated by commas."""

    def test_each_entry_is_a_tenant(self, monkeypatch):
        """Spaces, capitals in the digest and a trailing comma do no harm."""
        monkeypatch.setenv("API_KEYS", f"north:{DIGEST}, south:{DIGEST.upper()},")
        assert [(key.tenant, key.sha256) for key in load(TenantSettings).tenants] == [
            ("north", DIGEST),
            ("south", DIGEST),
        ]

    def test_the_wrong_entry_is_counted_but_not_echoed(self, refusal):
        """Somebody who forgot to hash a key must not find it in the logs."""
        line = refusal(API_KEYS=f"north:{DIGEST},south:open-sesame")
        assert "API_KEYS entry 2 is not tenant:sha256" in line
        assert "sesame" not in line
        assert DIGEST not in line

    def test_they_do_not_show_when_settings_are_printed(self, monkeypatch):
        """Settings end up in logs."""
        monkeypatch.setenv("API_KEYS", f"north:{DIGEST}")
        assert DIGEST not in repr(load(TenantSettings))

    def test_nothing_is_no_tenant(self):
        """Open, as one tenant."""
        assert parse_api_keys("") == parse_api_keys(" , ") == ()


class TestSecureKafka:
    """TLS and SASL are checked at the start too, not at the first connection."""

    def test_sasl_needs_a_user(self, refusal):
        """The line names both variables."""
        line = refusal(KAFKA_SECURITY_PROTOCOL="SASL_SSL")
        assert line == "Not started: KAFKA_SASL_USERNAME is needed when KAFKA_SECURITY_PROTOCOL uses SASL\n"

    def test_a_password_does_not_show(self, monkeypatch):
        """Not when printed, not when something else is wrong."""
        monkeypatch.setenv("KAFKA_SASL_PASSWORD", "hunter2")
        assert "hunter2" not in repr(load(KafkaSettings))

    def test_a_missing_authority_file_is_named(self, refusal, tmp_path):
        """The commonest mistake with mounted secrets."""
        line = refusal(KAFKA_SECURITY_PROTOCOL="SSL", KAFKA_SSL_CAFILE=str(tmp_path / "none.pem"))
        assert line == "Not started: KAFKA_SSL_CAFILE cannot be used: No such file or directory\n"

    def test_a_certificate_that_is_none_is_named(self, refusal, tmp_path):
        """One line, whatever OpenSSL says."""
        (tmp_path / "client.pem").write_text("not a certificate")
        line = refusal(KAFKA_SECURITY_PROTOCOL="SSL", KAFKA_SSL_CERTFILE=str(tmp_path / "client.pem"))
        assert line.startswith("Not started: KAFKA_SSL_CERTFILE with KAFKA_SSL_KEYFILE")
        assert line.count("\n") == 1

    def test_tls_checks_the_broker_against_known_authorities(self):
        """Encryption to anybody at all would be none."""
        context = KafkaSettings(kafka_security_protocol="SSL").ssl_context()
        assert context.check_hostname
        assert KafkaSettings().ssl_context() is None


class TestWhatSeveralServicesRead:
    """One class for each limit, so that none takes what another refuses."""

    def test_a_rate_that_is_not_whole_is_told_what_to_do(self, refusal):
        """Ingest took it once, and the processor stopped at it."""
        line = refusal(RATE_LIMIT_REQUESTS="0.5")
        assert line == (
            "Not started: RATE_LIMIT_REQUESTS has to be a whole number, not 0.5: "
            "for a slower rate make RATE_LIMIT_PERIOD longer\n"
        )

    def test_a_rate_is_per_second(self):
        """None without a limit."""
        assert RateLimitSettings(rate_limit_requests=30, rate_limit_period=60).rate_per_second == 0.5
        assert RateLimitSettings(rate_limit_requests=0).rate_per_second is None

    def test_what_was_sent_is_settled_after_lease_call_and_settle_time(self):
        """In seconds."""
        settings = SettleTimeSettings(lease_seconds=10, hospital_api_timeout=5, hospital_api_settle_seconds=30)
        assert settings.settling_seconds == 45
