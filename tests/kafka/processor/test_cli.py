"""An operator's command reaches every processor's topic, or is refused with a reason."""

import asyncio
import os
import subprocess
import sys

import pytest
from aiokafka import AIOKafkaProducer

from services.processor.operations.cli import carry_out, parse
from shared.contract.events import SendingPaused, SendingResumed
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.topic_admin import create_missing_topics
from shared.runtime.settings import KafkaSettings
from tests.support.topic_reader import TopicReader


@pytest.fixture
def settings(kafka_bootstrap, topic_prefix, monkeypatch):
    """An installation on the run's broker, without topics."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka_bootstrap)
    monkeypatch.setenv("KAFKA_TOPIC_PREFIX", topic_prefix)
    return KafkaSettings()


@pytest.mark.parametrize("command", [["pause"], ["dead-letters", "list"]])
def test_a_command_to_the_wrong_kafka_is_refused(settings, command, capfd):
    """A pause that pauses nobody must not look like one that does."""
    with pytest.raises(SystemExit):
        carry_out(parse(command))
    error = capfd.readouterr().err
    assert error.startswith(f"Not done: there is no topic {settings.kafka_topic_prefix}hospital.")
    assert "KAFKA_TOPIC_PREFIX" in error


def test_pause_and_resume_are_written_in_order(settings, capfd):
    """On one partition, since they have one key."""
    asyncio.run(create_missing_topics(settings))
    carry_out(parse(["pause"]))
    carry_out(parse(["resume"]))
    lines = capfd.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Paused", "Resumed"]

    async def read():
        async with TopicReader(settings, settings.topics.jobs) as reader:
            return await reader.events(), {record.partition for record in reader.records}

    events, partitions = asyncio.run(read())
    assert [type(event) for event in events] == [SendingPaused, SendingResumed]
    assert len(partitions) == 1
    assert all(event.requested_by for event in events)


def test_a_reader_that_closes_the_pipe_early_is_no_error(settings):
    """`dead-letters export | head`."""

    async def write_dead_letter():
        await create_missing_topics(settings)
        async with AIOKafkaProducer(**kafka_options.producer_options(settings)) as producer:
            # More than stdout's buffer and the pipe take.
            await producer.send_and_wait(settings.topics.dead_letters, b"x" * 200_000, partition=0)

    asyncio.run(write_dead_letter())
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "services.processor", "dead-letters", "export"]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, b"")
