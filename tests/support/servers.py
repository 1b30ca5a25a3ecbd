"""The Kafka and PostgreSQL of the tests: containers where a Docker engine answers, else those of deploy.local."""

import asyncio
import functools
import os
import shutil
import tempfile
import uuid
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import docker
from docker.errors import DockerException, ImageNotFound

from deploy.local.broker.kafka import Broker
from deploy.local.postgres import ThrowawayPostgres

KAFKA_IMAGE = "confluentinc/cp-kafka:8.1.0"
POSTGRES_IMAGE = "postgres:17"

_MEMORY = Path("/dev/shm")
_MEMORY_NEEDED = 4 * 2**30


def memory_dir() -> str | None:
    """A directory in memory with 4 GiB free, where thousands of fsyncs cost nothing; None where there is none.

    That is safe: these tests kill processes, never the machine.
    """
    if not os.access(_MEMORY, os.W_OK) or os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC:
        return None
    return str(_MEMORY) if shutil.disk_usage(_MEMORY).free >= _MEMORY_NEEDED else None


@functools.cache
def docker_has(image: str) -> bool:
    """Whether a Docker engine answers within 2 s and has the image, or can pull it now."""
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
def some_kafka() -> Iterator[str]:
    """host:port of a broker that tests share: none may stop it."""
    with _container_kafka() if docker_has(KAFKA_IMAGE) else _local_kafka() as bootstrap:
        yield bootstrap


@contextmanager
def some_postgres() -> Iterator[str]:
    """The URL of a PostgreSQL, its administrative database."""
    with _container_postgres() if docker_has(POSTGRES_IMAGE) else _local_postgres() as url:
        yield url


@contextmanager
def some_database(server: str, template: str = "template1") -> Iterator[str]:
    """The URL of a new database, a copy of `template`; dropped afterwards, also with connections open."""
    name = f"t{uuid.uuid4().hex[:8]}"
    in_a_thread(_execute(server, f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield f"{server.rpartition('/')[0]}/{name}"
    in_a_thread(_execute(server, f"DROP DATABASE {name} WITH (FORCE)"))


def in_a_thread(work: Coroutine[Any, Any, object]) -> None:
    """Runs a coroutine to its end on an event loop of its own, apart from those of the tests."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


@contextmanager
def private_broker() -> Iterator[Broker]:
    """A started broker with a data directory of its own; killed at the end, since its data is not needed."""
    with tempfile.TemporaryDirectory(prefix="kafka-", ignore_cleanup_errors=True) as directory:
        broker = Broker(Path(directory))
        try:
            broker.start()
            yield broker
        finally:
            broker.kill()


@contextmanager
def _container_kafka() -> Iterator[str]:
    """Like the local broker, it does not create topics by itself."""
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
def _local_kafka() -> Iterator[str]:
    with private_broker() as broker:
        yield broker.bootstrap


@contextmanager
def _container_postgres() -> Iterator[str]:
    from testcontainers.community.postgres import PostgresContainer

    with PostgresContainer(POSTGRES_IMAGE, driver=None) as container:
        yield container.get_connection_url()


@contextmanager
def _local_postgres() -> Iterator[str]:
    with ThrowawayPostgres() as server:
        yield server.url


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
