"""The broker that needs nothing but Python: `python -m deploy.local kafka` and deploy.local.broker.kafka.Broker."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, ProducerFenced

from deploy.local.broker.data_lock import DataInUse
from deploy.local.broker.jars import JarRefused
from deploy.local.broker.kafka import Broker, BrokerNotStarted
from deploy.local.paths import local_dir


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """One broker for this file's tests, each with a topic of its own; a test that stops it starts it again."""
    with TemporaryDirectory(prefix="kafka-") as directory, Broker(Path(directory)) as broker:
        yield broker


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the command keeps its data, from one test to the next."""
    return tmp_path_factory.mktemp("command")


async def test_a_second_producer_of_the_same_transactional_id_fences_the_first(broker: Broker, topic_prefix: str):
    """The promises of Kafka that everything here is built on: all or nothing, and one at a time."""
    topic = await make_topic(broker, topic_prefix)
    first, second = (transactional(broker.bootstrap, topic_prefix) for _ in range(2))
    try:
        await first.start()
        async with first.transaction():
            await first.send_and_wait(topic, b"committed")
        await first.begin_transaction()
        await first.send_and_wait(topic, b"never committed")
        await second.start()
        with pytest.raises(ProducerFenced):
            await first.commit_transaction()
        async with second.transaction():
            await second.send_and_wait(topic, b"the successor's")
    finally:
        await first.stop()
        await second.stop()
    assert await values(broker, topic) == [b"committed", b"the successor's"]


async def test_records_survive_a_restart_a_kill_and_another_port(broker: Broker, topic_prefix: str, free_port: int):
    """Data is only lost by deleting the directory."""
    topic, port = await make_topic(broker, topic_prefix), broker.port
    await write(broker, topic, b"1")
    broker.stop()
    await broker.start_async()
    await write(broker, topic, b"2")
    broker.kill()
    with Broker(broker.data_dir, free_port) as moved:
        assert moved.bootstrap == f"127.0.0.1:{free_port}"
        assert await values(moved, topic) == [b"1", b"2"]
    await broker.start_async()
    assert broker.port == port
    assert await values(broker, topic) == [b"1", b"2"]


async def test_a_paused_broker_answers_when_it_is_resumed(broker: Broker, topic_prefix: str):
    """Frozen, it keeps its connections and says nothing."""
    topic = await make_topic(broker, topic_prefix)
    broker.pause()
    writing = asyncio.create_task(write(broker, topic, b"late"))
    done, _ = await asyncio.wait([writing], timeout=1)
    broker.resume()
    assert not done
    await writing
    assert await values(broker, topic) == [b"late"]


def test_it_starts_from_the_cache_of_its_classes(broker: Broker):
    """Java says so in its log when it cannot use the cache, and starts as slowly as ever."""
    assert [option for option in psutil.Process(broker.pid).cmdline() if option.startswith("-XX:AOTCache=")]
    assert "[aot" not in broker.log.read_text()


async def test_topics_are_made_only_on_purpose(broker: Broker, topic_prefix: str):
    """A service with a misspelt topic must not create it with the wrong configuration."""
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, request_timeout_ms=1000)
    await producer.start()
    try:
        with pytest.raises(KafkaError):
            await producer.send_and_wait(f"{topic_prefix}misspelt", b"")
    finally:
        await producer.stop()
    assert f"{topic_prefix}misspelt" not in await topics(broker)


def test_two_brokers_never_share_a_directory(broker: Broker):
    """The second says what to do and leaves the first alone."""
    with pytest.raises(DataInUse, match=f"^{broker.data_dir} is in use by another broker: stop it, or set KAFKA_"):
        Broker(broker.data_dir).start()
    assert broker.pid


@pytest.mark.usefixtures("broker")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_one_line_when_ready_and_stops_within_five_seconds(
    data_dir: Path, free_port: int, number: signal.Signals
):
    """A person at the terminal sees where it is; Ctrl-C and a service manager end it cleanly."""
    with command(data_dir, free_port) as process:
        assert read_line(process) == f"Kafka 4.1.2 ready on 127.0.0.1:{free_port}, data in {data_dir}\n"
        java = psutil.Process(process.pid).children()
        asked = time.monotonic()
        process.send_signal(number)
        rest, _ = process.communicate(timeout=10)
        assert time.monotonic() - asked < 5
        assert (process.returncode, rest, alive(java)) == (0, "", [])
    assert (data_dir / "log" / ".kafka_cleanshutdown").exists()


def test_the_broker_dies_with_its_parent(data_dir: Path, free_port: int):
    """Not even a kill -9 leaves a Java behind."""
    with command(data_dir, free_port) as process:
        read_line(process)
        java = psutil.Process(process.pid).children()
        assert len(java) == 1
        process.kill()
        assert alive(java) == []


def test_the_command_says_one_line_when_java_dies(data_dir: Path, free_port: int):
    """The reason, and where to read more."""
    with command(data_dir, free_port) as process:
        read_line(process)
        psutil.Process(process.pid).children()[0].kill()
        rest, _ = process.communicate(timeout=10)
        assert rest == f"Kafka ended: killed by signal 9; its log: {data_dir / 'kafka.log'}\n"
        assert process.returncode == 1


def test_a_taken_port_is_named_in_one_line(data_dir: Path):
    """Before anything is started."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with command(data_dir, port) as process:
            said, _ = process.communicate(timeout=30)
    assert said == f"Port {port} is taken: stop what listens there, or set KAFKA_PORT to another\n"
    assert process.returncode == 1


def test_a_wrong_port_is_named_in_one_line(data_dir: Path):
    """As every wrong value of the environment."""
    with command(data_dir, "ninety") as process:
        said, _ = process.communicate(timeout=30)
    assert said.startswith("Not started: KAFKA_PORT ")
    assert said.count("\n") == 1


@pytest.mark.usefixtures("broker")
def test_a_damaged_directory_is_explained_in_one_line(tmp_path: Path):
    """Java's stack trace stays in the log; the line says what Kafka said last."""
    (tmp_path / "log").mkdir()
    broker = Broker(tmp_path)
    with pytest.raises(BrokerNotStarted, match=r"^Kafka did not start: \w+Exception: .*; its log: .*kafka\.log$"):
        broker.start()
    assert broker.pid is None


@pytest.mark.usefixtures("broker")
def test_a_tampered_jar_is_refused_by_name(tmp_path: Path):
    """Nothing is started from a jar that is not the locked one."""
    jars = tmp_path / "jars"
    jars.mkdir()
    for jar in (local_dir() / "jars").glob("*.jar"):
        (jars / jar.name).symlink_to(jar)
    tampered = next(jars.glob("kafka-clients-*.jar"))
    content = tampered.read_bytes()
    tampered.unlink()
    tampered.write_bytes(content + b"!")
    broker = Broker(tmp_path / "data", jars_dir=jars)
    with pytest.raises(JarRefused, match=f"^{tampered} is not the jar that kafka_jars.lock names .*: delete it"):
        broker.start()
    assert not broker.data_dir.exists()


def transactional(bootstrap: str, prefix: str) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap, transactional_id=f"{prefix}lane-0", enable_idempotence=True, acks="all"
    )


async def make_topic(broker: Broker, prefix: str) -> str:
    async with administrator(broker) as admin:
        await admin.create_topics([NewTopic(f"{prefix}rows", num_partitions=1, replication_factor=1)])
    return f"{prefix}rows"


async def topics(broker: Broker) -> list[str]:
    async with administrator(broker) as admin:
        return list(await admin.list_topics())


@asynccontextmanager
async def administrator(broker: Broker) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def write(broker: Broker, topic: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, enable_idempotence=True, acks="all")
    await producer.start()
    try:
        await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def values(broker: Broker, topic: str) -> list[bytes]:
    """All committed records of the topic."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker.bootstrap, isolation_level="read_committed", auto_offset_reset="none"
    )
    partition = TopicPartition(topic, 0)
    await consumer.start()
    try:
        consumer.assign([partition])
        consumer.seek(partition, 0)
        end = (await consumer.end_offsets([partition]))[partition]
        found: list[bytes] = []
        while await consumer.position(partition) < end:
            batches = await consumer.getmany(partition, timeout_ms=200)
            found += [record.value for record in batches.get(partition, [])]
        return found
    finally:
        await consumer.stop()


@contextmanager
def command(data_dir: Path, port: object) -> Iterator[subprocess.Popen[str]]:
    """`python -m deploy.local kafka`, ended with the test."""
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.local", "kafka"],
        env=os.environ | {"KAFKA_PORT": str(port), "KAFKA_DATA_DIR": str(data_dir)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run after 2 s."""
    _, running = psutil.wait_procs(processes, timeout=2)
    return [process for process in running if process.status() != psutil.STATUS_ZOMBIE]
