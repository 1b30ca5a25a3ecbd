"""Creates the topics: `python -m deploy.local topics`, or the step before the services in compose and Kubernetes."""

import asyncio
import sys

from shared.runtime.kafka.topic_admin import check_topics, wait_for_topics
from shared.runtime.logging import configure_logging
from shared.runtime.settings import KafkaSettings, LogSettings, load


def main() -> None:
    """Creates missing topics, waits for Kafka if necessary, and refuses topics that would lose data."""
    configure_logging(load(LogSettings), "topics")
    asyncio.run(_make(load(KafkaSettings)))


async def _make(settings: KafkaSettings) -> None:
    await wait_for_topics(settings)
    await check_topics(settings)
    sys.stdout.write("The topics are there: " + ", ".join(topic.name for topic in settings.topics.all()) + "\n")


if __name__ == "__main__":
    main()
