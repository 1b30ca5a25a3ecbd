"""The real things that tests run against: started when the first test asks for them, stopped when the run ends.

Kafka and PostgreSQL come from testcontainers where a Docker engine answers, else from deploy.local. Runs side by side
share nothing but the cache of jars.
"""

import asyncio
import functools
import tempfile
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import asyncpg
import docker
import pytest
from docker.errors import DockerException, ImageNotFound
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from deploy.local.jars import class_path, locked_jars
from deploy.local.kafka import Broker
from deploy.local.places import local_dir
from deploy.local.ports import free_port as some_free_port
from deploy.local.postgres import ThrowawayPostgres

# A busy machine is no reason for a property to fail.
hypothesis_settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("any-machine")

KAFKA_IMAGE = "confluentinc/cp-kafka:8.1.0"
POSTGRES_IMAGE = "postgres:17"

StartBroker = Callable[[], Broker]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Downloads what the collected tests need, in sight and before the time-out of the first one begins."""
    if session.config.option.collectonly:
        return
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    with session.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        if "postgres_server" in wanted:
            docker_has(POSTGRES_IMAGE)
        if "own_broker" in wanted or ("kafka_bootstrap" in wanted and not docker_has(KAFKA_IMAGE)):
            class_path(local_dir() / "jars", locked_jars())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line per promise that chaos could not break, with its figures, from whichever process proved it."""
    passed = terminalreporter.stats.get("passed", [])
    if lines := [line for report in passed for name, line in report.user_properties if name == "kept"]:
        terminalreporter.section("promises kept")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def kafka_bootstrap() -> Iterator[str]:
    """host:port of the run's broker, shared by all tests: keep apart with `topic_prefix`, never stop it."""
    with container_broker() if docker_has(KAFKA_IMAGE) else local_broker() as bootstrap:
        yield bootstrap


@pytest.fixture
def topic_prefix() -> str:
    """KAFKA_TOPIC_PREFIX for one test: nobody else uses it on the shared broker."""
    return f"t{uuid.uuid4().hex[:8]}."


@pytest.fixture
def own_broker() -> Iterator[StartBroker]:
    """A factory of started brokers that a test may stop, start, kill, pause and resume; each keeps its port."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(private_broker())


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of the run's PostgreSQL, its administrative database."""
    with container_postgres() if docker_has(POSTGRES_IMAGE) else local_postgres() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """postgresql://… of an empty database for one test, dropped afterwards whoever is still connected."""
    name = f"t{uuid.uuid4().hex[:8]}"
    execute(postgres_server, f"CREATE DATABASE {name}")
    yield f"{postgres_server.rpartition('/')[0]}/{name}"
    execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    return some_free_port()


@functools.cache
def docker_has(image: str) -> bool:
    """Whether a Docker engine answers within 2 s and has the image, or gets it now."""
    try:
        docker.from_env(timeout=2).ping()
        return _image_is_there(docker.from_env(timeout=600), image)
    except (DockerException, OSError):
        return False


def _image_is_there(client: docker.DockerClient, image: str) -> bool:
    try:
        client.images.get(image)
    except ImageNotFound:
        print(f"\nFetching the image {image}, this once", flush=True)
        client.images.pull(image)
    return True


@contextmanager
def container_broker() -> Iterator[str]:
    """A broker in a container, as strict about topics as the local one."""
    from testcontainers.community.kafka import KafkaContainer

    container = KafkaContainer(KAFKA_IMAGE).with_kraft()
    container.with_env("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false")
    container.with_env("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1")
    container.with_env("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1")
    container.with_env("KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS", "5")
    try:
        yield container.start(timeout=90).get_bootstrap_server()
    finally:
        container.stop()


@contextmanager
def local_broker() -> Iterator[str]:
    """A broker of this machine that nobody breaks."""
    with private_broker() as broker:
        yield broker.bootstrap


@contextmanager
def private_broker() -> Iterator[Broker]:
    """A started broker with a data directory of its own; killed at the end, since nobody needs its data."""
    with tempfile.TemporaryDirectory(prefix="kafka-", ignore_cleanup_errors=True) as directory:
        broker = Broker(Path(directory))
        try:
            broker.start()
            yield broker
        finally:
            broker.kill()


@contextmanager
def container_postgres() -> Iterator[str]:
    """PostgreSQL in a container."""
    from testcontainers.community.postgres import PostgresContainer

    with PostgresContainer(POSTGRES_IMAGE, driver=None) as container:
        yield container.get_connection_url()


@contextmanager
def local_postgres() -> Iterator[str]:
    """PostgreSQL of this machine or of the wheel."""
    with ThrowawayPostgres() as server:
        yield server.url


def execute(url: str, statement: str) -> None:
    """Runs one statement. In a thread, so that the event loops of the tests are left alone."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, _execute(url, statement)).result()


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
