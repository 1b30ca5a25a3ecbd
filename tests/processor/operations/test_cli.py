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


COMMANDS = [
    ["pause"],
    ["resume"],
    ["dead-letters", "list"],
    ["dead-letters", "export"],
    ["offsets", "show"],
    ["offsets", "set", "--all", "--to", "end"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_without_kafka_one_line_says_why_nothing_was_done(command, capfd):
    """No traceback, and an exit code that a script understands."""
    with pytest.raises(SystemExit) as ended:
        carry_out(parse(command))
    out, error = capfd.readouterr()
    assert ended.value.code == 2
    assert out == ""
    assert error.startswith("Not done: Kafka at 127.0.0.1:9 cannot be used: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "wrong", [[], ["--all", "--topic", "t"], ["--topic", "t"], ["--partition", "0"], ["--all", "--partition", "0"]]
)
def test_offsets_are_set_for_one_partition_or_for_all(wrong, capfd):
    """Nobody sets all of them by forgetting an option."""
    with pytest.raises(SystemExit) as ended:
        parse(["offsets", "set", "--to", "end", *wrong])
    assert ended.value.code == 2
    assert "--topic and --partition, or --all" in capfd.readouterr().err


def test_a_user_without_a_name_may_pause_too(monkeypatch):
    """In a container users often have only a number."""

    def nameless():
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert control_module._operator() == f"user {os.getuid()}"
