"""The command line in front of a fake service."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from client.app import app
from client.options import API_KEY_VARIABLE, URL_VARIABLE
from tests.client.fake_service import FakeService, running_service

Run = Callable[..., Any]


@pytest.fixture
def service() -> Iterator[FakeService]:
    with running_service() as service:
        yield service


@pytest.fixture
def run(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command against the service: its result has exit_code, stdout and stderr."""
    monkeypatch.setenv(URL_VARIABLE, service.url)
    monkeypatch.delenv(API_KEY_VARIABLE, raising=False)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file to upload."""
    path = tmp_path / "hospitals.csv"
    path.write_text("name,address\nGood Hope,1 Hope Street\n")
    return path
