"""A log line is an event with its fields, for machines or for a person."""

import json
import logging

import aiokafka.client
import aiokafka.producer.producer
import pytest
import structlog
from structlog.contextvars import bound_contextvars

from shared.runtime.logging import configure_logging
from shared.runtime.settings import LogSettings


@pytest.fixture(autouse=True)
def logging_as_it_was():
    """Leaves pytest its own logging, and structlog unconfigured."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def configured(capsys):
    """Configures logging for machines; what it returns reads the lines logged since."""

    def lines():
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    def configure():
        # Not in the fixture itself: pytest has another standard error while it sets a test up.
        configure_logging(LogSettings(log_format="json", log_level="INFO"), "ingest")
        return lines

    return configure


def test_a_line_says_what_where_when_and_with_which_values(configured):
    """One JSON object a line."""
    lines = configured()
    structlog.get_logger("rows").info("row_sent", attempt=2)
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "row_sent", "attempt": 2, "level": "info", "logger": "rows", "service": "ingest"}


def test_a_kafka_that_is_away_is_not_told_of_several_times_a_second(configured):
    """aiokafka's client logs each connection that fails, under the library's own name; the other parts are heard."""
    lines = configured()
    logging.getLogger(aiokafka.client.log.name).error("Unable connect to node with id 1")
    logging.getLogger(aiokafka.producer.producer.log.name).error("The transaction was aborted")
    assert [line["event"] for line in lines()] == ["The transaction was aborted"]


def test_what_is_bound_is_on_every_line_until_it_is_unbound(configured):
    """All lines of a row's way carry job_id and row, those of libraries too."""
    lines = configured()
    with bound_contextvars(job_id="j-1", row=7):
        structlog.get_logger().info("row_sent")
        logging.getLogger("some.library").warning("slow answer")
    structlog.get_logger().info("idle")
    sent, slow, idle = lines()
    assert (sent["job_id"], sent["row"]) == (slow["job_id"], slow["row"]) == ("j-1", 7)
    assert "job_id" not in idle


def test_libraries_log_through_the_same_formatter(configured):
    """Their placeholders are filled in."""
    lines = configured()
    logging.getLogger("some.library").warning("lost %s of %d", "one", 3)
    (line,) = lines()
    assert (line["event"], line["level"], line["logger"]) == ("lost one of 3", "warning", "some.library")


def test_an_exception_is_one_line_with_its_trace(configured):
    """A line a machine can keep together."""
    lines = configured()
    try:
        raise ValueError("broken row")
    except ValueError:
        structlog.get_logger().exception("row_failed")
    (line,) = lines()
    assert "ValueError: broken row" in line["exception"]


@pytest.mark.parametrize(
    ("logger", "level"),
    [("rows", logging.DEBUG), ("httpx", logging.INFO), ("aiokafka.conn", logging.ERROR)],
)
def test_what_nobody_asked_for_is_not_logged(configured, logger, level):
    """Below the level, or a library that would repeat itself several times a second."""
    lines = configured()
    logging.getLogger(logger).log(level, "chatter")
    assert lines() == []


def test_a_person_reads_plain_words(capsys):
    """Without colours when it is not a terminal."""
    configure_logging(LogSettings(log_format="console"), "ingest")
    with bound_contextvars(job_id="j-1"):
        structlog.get_logger().info("row_sent", attempt=2)
    line = capsys.readouterr().err
    assert "row_sent" in line
    assert "job_id=j-1" in line
    assert "attempt=2" in line
    assert "\x1b" not in line


def test_a_trace_for_a_person_shows_no_values(capsys):
    """Local variables hold passwords and patients' addresses."""
    configure_logging(LogSettings(log_format="console"), "ingest")
    password = "hunter2"
    try:
        raise ValueError(f"not {len(password)} but 9 characters")
    except ValueError:
        structlog.get_logger().exception("row_failed")
    printed = capsys.readouterr().err
    assert "ValueError: not 7 but 9 characters" in printed
    assert "hunter2" not in printed
