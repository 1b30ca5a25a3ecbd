"""Creates missing topics, and checks those that exist."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAuthorizationFailedError, for_code

from shared.contract.topics import Topic
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.failures import KAFKA_FAILURES
from shared.runtime.settings import KafkaSettings

log = structlog.get_logger(__name__)

TOPIC_ALREADY_EXISTS = 36
VISIBLE_WITHIN_SECONDS = 10
RETRY_SECONDS = 2.0


class TopicsUnusable(RuntimeError):
    """A topic is missing, or its configuration would lose data. The message says which, and what to change."""


async def create_missing_topics(settings: KafkaSettings) -> list[str]:
    """Creates the missing topics and returns their names. Raises KafkaError when Kafka cannot be reached.

    Topics that this client may not create are logged and left to `python -m deploy.local topics`.
    """
    client = kafka_options.admin_client(settings)
    try:
        await client.start()
        known = set(await client.list_topics())
        missing = [topic for topic in settings.topics.all() if topic.name not in known]
        created, refused = await create_topics(client, missing, settings)
        await _until_visible(client, {topic.name for topic in missing} - set(refused))
        return created
    finally:
        await client.close()


async def create_topics(
    client: AIOKafkaAdminClient, missing: list[Topic], settings: KafkaSettings
) -> tuple[list[str], list[str]]:
    """Creates the topics. Returns the names created, and those that this client may not create.

    Names in neither list were just created by another service. Raises KafkaError.
    """
    if not missing:
        return [], []
    # With Kafka's default of 1 a record counts as written that only a broker has which then dies.
    copies = {"min.insync.replicas": str(settings.min_insync_replicas)}
    replication = settings.kafka_replication_factor
    answer = await client.create_topics(
        [NewTopic(topic.name, topic.partitions, replication, topic_configs=topic.config | copies) for topic in missing]
    )
    created, refused = [], []
    for name, code, *message in answer.topic_errors:
        if code == 0:
            created.append(name)
        elif code == TopicAuthorizationFailedError.errno:
            refused.append(name)
            log.warning("may_not_create_topic", topic=name, advice="create it with: python -m deploy.local topics")
        elif code != TOPIC_ALREADY_EXISTS:
            raise for_code(code)(name, *message)
    return created, refused


async def _until_visible(client: AIOKafkaAdminClient, names: Iterable[str]) -> None:
    """Waits until the broker lists the new topics: the controller created them, and the broker learns it later."""
    async with asyncio.timeout(VISIBLE_WITHIN_SECONDS):
        while not set(names) <= set(await client.list_topics()):  # noqa: ASYNC110 - a broker has to be asked
            await asyncio.sleep(0.05)


async def check_topics(settings: KafkaSettings) -> None:
    """Raises TopicsUnusable when a topic is missing, has another number of partitions, or would delete its records."""
    client = kafka_options.admin_client(settings)
    try:
        await client.start()
        problems = await _problems(client, settings.topics.all())
    finally:
        await client.close()
    if problems:
        raise TopicsUnusable("; ".join(problems))


async def _problems(client: AIOKafkaAdminClient, wanted: Iterable[Topic]) -> list[str]:
    topics = {topic.name: topic for topic in wanted}
    known = set(await client.list_topics())
    present = [name for name in topics if name in known]
    problems = [f"topic {name} is missing: run python -m deploy.local topics" for name in topics if name not in known]
    if not present:
        return problems
    described, configured = await asyncio.gather(client.describe_topics(present), read_configuration(client, present))
    for description in described:
        problems += _wrong_partitions(topics[description["topic"]], len(description["partitions"]))
    for name, actual in configured.items():
        problems += _wrong_configuration(topics[name], actual)
    return problems


def _wrong_partitions(topic: Topic, actual: int) -> list[str]:
    if actual == topic.partitions:
        return []
    return [
        f"topic {topic.name} has {actual} partitions, KAFKA_TOPIC_PARTITIONS asks for {topic.partitions}: "
        "keys would move, so the topics must be drained and made again"
    ]


def _wrong_configuration(topic: Topic, actual: dict[str, str]) -> list[str]:
    return [
        f"topic {topic.name} has {key}={actual.get(key)}, needs {value}"
        for key, value in topic.config.items()
        if key in ("retention.ms", "retention.bytes", "cleanup.policy") and actual.get(key) != value
    ]


async def read_configuration(client: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    """The options of each topic. Raises KafkaError, also when this client may not read them."""
    answers = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    found: dict[str, dict[str, str]] = {}
    for answer in answers:
        for code, message, _kind, name, entries in answer.resources:
            if code:
                raise for_code(code)(name, message)
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


CreateTopics = Callable[[KafkaSettings], Awaitable[list[str]]]


async def wait_for_topics(
    settings: KafkaSettings, create: CreateTopics = create_missing_topics, retry_seconds: float = RETRY_SECONDS
) -> None:
    """Creates the missing topics. While Kafka cannot be reached, logs a warning and tries again after a pause."""
    while True:
        try:
            created = await create(settings)
        except KAFKA_FAILURES as error:
            log.warning("kafka_unreachable", servers=settings.kafka_bootstrap_servers, reason=str(error))
            await asyncio.sleep(retry_seconds)
        else:
            if created:
                log.info("topics_created", topics=created)
            return
