"""What an operator sees when a command cannot be carried out."""

import getpass
import os

import pytest

from services.processor.operations import cli as control_module
from services.processor.operations.cli import carry_out, parse


@pytest.fixture(autouse=True)
def nowhere(monkeypatch):
    """A Kafka that nobody runs."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")


@pytest.mark.parametrize("command", [["pause"], ["resume"], ["dead-letters", "list"], ["dead-letters", "export"]])
def test_without_kafka_one_line_says_why_nothing_was_done(command, capfd):
    """No traceback, and an exit code that a script understands."""
    with pytest.raises(SystemExit) as ended:
        carry_out(parse(command))
    out, error = capfd.readouterr()
    assert ended.value.code == 2
    assert out == ""
    assert error.startswith("Not done: Kafka at 127.0.0.1:9 cannot be used: ")
    assert error.count("\n") == 1


def test_a_user_without_a_name_may_pause_too(monkeypatch):
    """In a container users often have only a number."""

    def nameless():
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert control_module._operator() == f"user {os.getuid()}"
