"""WEBHOOKS and WEBHOOK_SECRET: a wrong one stops the start with one line that tells no secret."""

import pytest

from services.status.settings import WebhookSettings, parse_webhooks
from shared.runtime.settings import load
from tests.support.status.webhook_doubles import KEY, SECRET


@pytest.fixture
def loaded(monkeypatch):
    def load_with(**variables):
        for name in ("WEBHOOKS", "WEBHOOK_SECRET"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return load(WebhookSettings)

    return load_with


def test_nothing_is_posted_without_addresses(loaded):
    """And no secret is needed."""
    assert loaded().webhook_addresses == {}


def test_a_tenant_may_have_several_addresses(loaded):
    """Separated as everything is."""
    text = "north=https://a.example/x?y=z, south=http://127.0.0.1:9000/ ,north=https://b.example"
    settings = loaded(WEBHOOKS=text, WEBHOOK_SECRET=SECRET)
    assert settings.webhook_addresses == {
        "north": ("https://a.example/x?y=z", "https://b.example"),
        "south": ("http://127.0.0.1:9000/",),
    }
    assert settings.webhook_key == KEY
    assert "a.example" not in repr(settings)


def test_the_same_address_twice_is_one():
    """A slip of the pen."""
    assert parse_webhooks("n=https://a.example,n=https://a.example") == {"n": ("https://a.example",)}


@pytest.mark.parametrize(
    "entry",
    [
        "https://a.example",
        "north=a.example",
        "north=ftp://a.example",
        "=https://a.example",
        "no rth=https://a.example",
        "north=https://",
        "north=https://a.example:99999",
        "north=https://[",
        "north=https://bücher.example",
    ],
)
def test_an_address_that_is_none_stops_the_start(loaded, capsys, entry):
    """The line names the entry by its number."""
    with pytest.raises(SystemExit):
        loaded(WEBHOOKS=f"north=https://a.example/s3cret,{entry}", WEBHOOK_SECRET=SECRET)
    [line] = capsys.readouterr().err.splitlines()
    assert "WEBHOOKS entry 2 is not tenant=https://" in line
    assert "s3cret" not in line


@pytest.mark.parametrize("secret", ["", "s3cret", "whsec_", "whsec_s3cret!", "whsec_c2hvcnQ=", "whsec_" + "QUFB" * 22])
def test_a_secret_that_signs_nothing_stops_the_start(loaded, capsys, secret):
    """Too short, too long, or none."""
    with pytest.raises(SystemExit):
        loaded(WEBHOOKS="north=https://a.example", WEBHOOK_SECRET=secret)
    [line] = capsys.readouterr().err.splitlines()
    assert "WEBHOOK_SECRET" in line
    assert "s3cret" not in line
