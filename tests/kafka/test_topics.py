"""Topics on a real broker: created with the contract's configuration, and refused when they would lose records."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    InvalidReplicationFactorError,
    KafkaError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from structlog.testing import capture_logs

from shared.contract.topics import Topic
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.topic_admin import (
    TopicsUnusable,
    check_topics,
    create_missing_topics,
    create_topics,
    read_configuration,
    wait_for_topics,
)
from shared.runtime.settings import KafkaSettings


@pytest.fixture
def settings(kafka_bootstrap, topic_prefix):
    """An installation of its own on the shared broker."""
    return KafkaSettings(
        kafka_bootstrap_servers=kafka_bootstrap, kafka_topic_prefix=topic_prefix, kafka_topic_partitions=3
    )


@pytest.fixture
async def admin(settings):
    """An admin client, as an operator has it."""
    client = kafka_options.admin_client(settings)
    await client.start()
    yield client
    await client.close()


async def configuration(admin, name):
    """A topic's configuration as the broker tells it."""
    (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    ((_code, _message, _kind, _name, entries),) = answer.resources
    return {entry[0]: entry[1] for entry in entries}


async def make(admin, topic: Topic, **config):
    """Makes one topic by hand; keywords are its configuration, with _ for the dots."""
    overrides = {key.replace("_", "."): value for key, value in config.items()}
    await admin.create_topics([NewTopic(topic.name, topic.partitions, 1, topic_configs={**topic.config, **overrides})])


async def test_missing_topics_are_made_as_the_contract_says(settings, admin):
    """Names, numbers of partitions, and every option that keeps records."""
    wanted = settings.topics.all()
    assert set(await create_missing_topics(settings)) == {topic.name for topic in wanted}
    described = {topic["topic"]: topic for topic in await admin.describe_topics([topic.name for topic in wanted])}
    for topic in wanted:
        assert len(described[topic.name]["partitions"]) == topic.partitions
        assert (await configuration(admin, topic.name)).items() >= topic.config.items()


async def test_topics_just_made_are_found_well(settings):
    """At once: a broker hears of a topic a moment after it was made."""
    await create_missing_topics(settings)
    await check_topics(settings)


async def test_making_them_again_makes_nothing(settings):
    """Every start of every service tries."""
    await create_missing_topics(settings)
    assert await create_missing_topics(settings) == []


async def test_services_that_start_at_once_do_not_fail_one_another(settings):
    """Each topic is made by one of them."""
    made = await asyncio.gather(*(create_missing_topics(settings) for _ in range(4)))
    names = [name for names in made for name in names]
    assert sorted(names) == sorted(topic.name for topic in settings.topics.all())


async def test_only_what_is_missing_is_made(settings, admin):
    """What an operator made stays as it is."""
    jobs = next(topic for topic in settings.topics.all() if topic.name == settings.topics.jobs)
    await make(admin, jobs, segment_ms="60000")
    assert settings.topics.jobs not in await create_missing_topics(settings)
    assert (await configuration(admin, jobs.name))["segment.ms"] == "60000"


async def test_a_broker_that_refuses_is_quoted(settings):
    """One broker cannot hold two copies."""
    with pytest.raises(InvalidReplicationFactorError, match=r"hospital\.rows\.express"):
        await create_missing_topics(settings.model_copy(update={"kafka_replication_factor": 2}))


async def test_a_missing_topic_is_named_with_what_to_do(settings, admin):
    """Only that one."""
    await create_missing_topics(settings)
    await admin.delete_topics([settings.topics.rows_express])
    with pytest.raises(TopicsUnusable) as found:
        await until_raised(settings, "is missing")
    assert str(found.value) == f"topic {settings.topics.rows_express} is missing: run python -m deploy.local topics"


async def test_nothing_at_all_is_six_topics_missing(settings):
    """A fresh cluster."""
    with pytest.raises(TopicsUnusable) as found:
        await check_topics(settings)
    assert str(found.value).count("is missing") == 6


async def test_another_number_of_partitions_is_refused(settings):
    """Keys would go to other lanes than their records did."""
    await create_missing_topics(settings)
    with pytest.raises(TopicsUnusable) as found:
        await check_topics(settings.model_copy(update={"kafka_topic_partitions": 4}))
    problems = str(found.value).split("; ")
    assert len(problems) == 4, "rows twice, results and jobs; the other two have one partition always"
    assert all("has 3 partitions, KAFKA_TOPIC_PARTITIONS asks for 4" in problem for problem in problems)


@pytest.mark.parametrize(
    ("option", "value"), [("retention.ms", "604800000"), ("retention.bytes", "1048576"), ("cleanup.policy", "compact")]
)
async def test_a_topic_that_deletes_unprocessed_records_is_refused(settings, admin, option, value):
    """Option, what it is and what it has to be."""
    await create_missing_topics(settings)
    results = settings.topics.results
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, results, {option: value})])
    with pytest.raises(TopicsUnusable) as found:
        await until_raised(settings, option)
    needed = next(topic.config[option] for topic in settings.topics.all() if topic.name == results)
    assert f"topic {results} has {option}={value}, needs {needed}" in str(found.value).split("; ")


async def until_raised(settings, words):
    """Checks until the broker has heard of a change; the last refusal is what is raised."""
    async with asyncio.timeout(10):
        while True:
            try:
                await check_topics(settings)
            except TopicsUnusable as found:
                if words in str(found):
                    raise
            except UnknownTopicOrPartitionError:
                """A topic that vanished in the middle of the check is found missing by the next."""


async def test_nobody_reached_is_an_error_of_kafka(settings, free_port):
    """What callers turn into 503 and readiness."""
    nobody = settings.model_copy(update={"kafka_bootstrap_servers": f"127.0.0.1:{free_port}"})
    for ask in (create_missing_topics, check_topics):
        with pytest.raises(KafkaError):
            await ask(nobody)


async def test_a_service_waits_for_kafka_and_logs_it(settings):
    """Kafka may be started after the services."""
    attempts = []

    async def late(settings):
        attempts.append(settings)
        if len(attempts) < 3:
            raise KafkaError("nobody there")
        return await create_missing_topics(settings)

    with capture_logs() as logs:
        await wait_for_topics(settings, late, retry_seconds=0)
        await wait_for_topics(settings, late, retry_seconds=0)
    assert [entry["event"] for entry in logs] == ["kafka_unreachable", "kafka_unreachable", "topics_created"]
    await check_topics(settings)


class RefusingClient:
    """An admin client that may not create topics."""

    async def create_topics(self, topics):
        return SimpleNamespace(topic_errors=[(topic.name, 29, "not you") for topic in topics])


async def test_a_client_that_may_not_create_topics_leaves_them_to_the_operator(settings):
    """With ACLs the services have no right to create topics; the readiness check says that they are missing."""
    missing = list(settings.topics.all())
    with capture_logs() as logs:
        made, refused = await create_topics(RefusingClient(), missing, settings)
    assert (made, refused) == ([], [topic.name for topic in missing])
    assert [entry["event"] for entry in logs] == ["may_not_create_topic"] * 6


class NotingClient:
    """An admin client that notes how topics are to be made."""

    def __init__(self):
        self.asked = []

    async def create_topics(self, topics):
        self.asked += topics
        return SimpleNamespace(topic_errors=[(topic.name, 0, "") for topic in topics])


@pytest.mark.parametrize(
    ("copies", "asked", "needed"), [(1, None, "1"), (2, None, "1"), (3, None, "2"), (5, 3, "3"), (3, 1, "1")]
)
async def test_what_one_broker_alone_has_does_not_count_as_written_where_there_are_three(copies, asked, needed):
    """With Kafka's default of 1 a job that was accepted is gone with that broker. tests/chaos kills one of three."""
    settings = KafkaSettings(kafka_replication_factor=copies, kafka_min_insync_replicas=asked)
    client = NotingClient()
    await create_topics(client, list(settings.topics.all()), settings)
    assert [each.topic_configs["min.insync.replicas"] for each in client.asked] == [needed] * 6
    assert {each.replication_factor for each in client.asked} == {copies}


class RefusingDescriber:
    """An admin client that may not read configurations."""

    async def describe_configs(self, resources):
        return [SimpleNamespace(resources=[(29, "not you", 2, "jobs", [])])]


async def test_a_configuration_that_may_not_be_seen_is_no_wrong_one():
    """The reason is the missing right, not the topic."""
    with pytest.raises(TopicAuthorizationFailedError):
        await read_configuration(RefusingDescriber(), ["jobs"])
