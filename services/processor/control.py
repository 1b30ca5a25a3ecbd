"""What an operator tells the processors: `pause`, `resume`, `dead-letters list|export`."""

import argparse
import asyncio
import getpass
import sys
from uuid import uuid4

from aiokafka.errors import KafkaError

from services.processor.dead_letters import export_letters, list_letters
from services.processor.publishing import Publisher
from shared.events import SendingPaused, SendingResumed
from shared.settings import KafkaSettings, load, stop


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command; `command` is None for the service itself."""
    parser = argparse.ArgumentParser(prog="python -m services.processor", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("pause", help="stop all sending, by every processor, until resume")
    commands.add_parser("resume", help="send again")
    letters = commands.add_parser("dead-letters", help="what could not be decoded").add_subparsers(
        dest="letters", required=True
    )
    letters.add_parser("list", help="one line a letter: offset, where it stood, key, reason")
    letters.add_parser("export", help="one JSON object a line, with the value as received")
    return parser.parse_args(arguments)


def control(command: argparse.Namespace) -> None:
    """Carries a command out; one line says what was done, or why not."""
    settings = load(KafkaSettings)
    try:
        sys.stderr.write(asyncio.run(_carry_out(settings, command)) + "\n")
    except (KafkaError, TimeoutError, OSError) as error:
        stop(f"Kafka at {settings.kafka_bootstrap_servers} cannot be reached: {error or type(error).__name__}")


async def _carry_out(settings: KafkaSettings, command: argparse.Namespace) -> str:
    if command.command == "dead-letters":
        write = list_letters if command.letters == "list" else export_letters
        return f"{await write(settings, sys.stdout)} dead letters"
    kind = SendingPaused if command.command == "pause" else SendingResumed
    async with Publisher(settings, "processor") as publisher:
        await publisher.publish(kind(request_id=str(uuid4()), requested_by=getpass.getuser()))
    if kind is SendingPaused:
        return "Paused: calls in flight finish, no processor begins another until: python -m services.processor resume"
    return "Resumed: all processors send again."
