"""The operator's commands: `pause`, `resume`, `offsets show|set`, `dead-letters list|export`."""

import argparse
import asyncio
import getpass
import logging
import os
import sys
from collections.abc import Sequence
from typing import NoReturn
from uuid import uuid4

from services.processor.operations.dead_letters import export_letters, list_letters
from services.processor.operations.offsets import OffsetsRefused, set_offsets, show_offsets
from services.processor.publishing import SEND_SECONDS
from shared.contract.events import SendingPaused, SendingResumed
from shared.runtime.command_line import service_parser
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.clients import AdminClient
from shared.runtime.kafka.failures import KAFKA_FAILURES
from shared.runtime.kafka.publisher import KafkaUnavailable, Publisher
from shared.runtime.settings import KafkaSettings, load
from shared.runtime.timeouts import run_with_timeout

#: How long a command waits for Kafka before it says that it is away.
KAFKA_ANSWERS_SECONDS = 10.0


class TopicMissing(RuntimeError):
    """The command's topic does not exist, so nobody would read the command."""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The process's command line, or the arguments; `command` is `serve` for the service itself."""
    parser, commands = service_parser("processor", "Turns row events into hospitals, and emits one result per row.")
    commands.add_parser("pause", help="stop all sending, by every processor, until resume")
    commands.add_parser("resume", help="send again")
    letters = commands.add_parser("dead-letters", help="what could not be decoded").add_subparsers(
        dest="letters", required=True
    )
    letters.add_parser("list", help="one line a letter: offset, where it stood, key, reason")
    letters.add_parser("export", help="one JSON object a line, with the value as received")
    offsets = commands.add_parser("offsets", help="where the lanes go on").add_subparsers(dest="offsets", required=True)
    offsets.add_parser("show", help="one line a partition: committed, beginning, end, lag, horizon")
    setting = offsets.add_parser("set", help="set it by hand, while no processor runs")
    setting.add_argument("--all", action="store_true", help="every partition of the lanes' topics")
    setting.add_argument("--topic", help="one of the lanes' topics, with its prefix")
    setting.add_argument("--partition", type=int)
    setting.add_argument("--to", required=True, metavar="OFFSET|beginning|end")
    command = parser.parse_args(arguments)
    if command.command == "offsets" and command.offsets == "set":
        one = command.topic is not None and command.partition is not None
        if one == command.all or (command.all and (command.topic or command.partition is not None)):
            setting.error("say which: --topic and --partition, or --all")
    return command


def carry_out(command: argparse.Namespace) -> None:
    """Carries a command out. Writes one line to stderr: what was done, or why not; then the exit code is 2."""
    settings = load(KafkaSettings)
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # its errors are in that line
    try:
        sys.stderr.write(asyncio.run(_answer(settings, command)) + "\n")
    except BrokenPipeError:
        # The reader, such as `head`, has closed the pipe. Python would report that again when it flushes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (TopicMissing, OffsetsRefused) as refused:
        _give_up(str(refused))
    except (KafkaUnavailable, *KAFKA_FAILURES) as error:
        reason = str(error) or type(error).__name__
        _give_up(f"Kafka at {settings.kafka_bootstrap_servers} cannot be used: {reason}")


def _give_up(reason: str) -> NoReturn:
    sys.stderr.write(f"Not done: {reason}\n")
    raise SystemExit(2)


async def _answer(settings: KafkaSettings, command: argparse.Namespace) -> str:
    topics = settings.topics
    await _check_topic(settings, topics.dead_letters if command.command == "dead-letters" else topics.jobs)
    if command.command == "dead-letters":
        write = list_letters if command.letters == "list" else export_letters
        count = await write(settings, sys.stdout)
        return f"{count} dead letter{'' if count == 1 else 's'}"
    if command.command == "offsets":
        return await _answer_offsets(settings, command)
    kind = SendingPaused if command.command == "pause" else SendingResumed
    async with Publisher(settings, "processor") as publisher:
        await publisher.send(topics.jobs, kind(request_id=str(uuid4()), requested_by=_operator()), SEND_SECONDS)
    if kind is SendingPaused:
        return "Paused: calls in flight finish, no processor begins another until: python -m services.processor resume"
    return "Resumed: all processors send again."


async def _answer_offsets(settings: KafkaSettings, command: argparse.Namespace) -> str:
    if command.offsets == "show":
        return f"{await show_offsets(settings, sys.stdout)} partitions of group {settings.topics.group('processor')}"
    count = await set_offsets(settings, command.to, command.topic, command.partition, sys.stdout)
    return f"Set for {count} partition{'' if count == 1 else 's'}: what lies behind is looked up before it is sent."


async def _check_topic(settings: KafkaSettings, name: str) -> None:
    """Raises TopicMissing: on another installation's Kafka, or with another prefix, nobody would be paused."""
    client = kafka_options.admin_client(settings)
    try:
        known = await run_with_timeout(KAFKA_ANSWERS_SECONDS, _topics_of(client))
    finally:
        await client.close()
    if name not in known:
        servers, prefix = settings.kafka_bootstrap_servers, settings.kafka_topic_prefix
        raise TopicMissing(
            f"there is no topic {name} on Kafka at {servers}: is it the right one, and is {prefix!r} its "
            "KAFKA_TOPIC_PREFIX?"
        )


async def _topics_of(client: AdminClient) -> list[str]:
    await client.start()
    names: list[str] = await client.list_topics()
    return names


def _operator() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"  # in a container users often have no name
