"""Producers may fail while nobody waits for them, and every program makes its clients in one way."""

import ast
import asyncio
import gc
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from shared.runtime.kafka.clients import Producer
from shared.runtime.kafka.failures import ClientEnded

ROOT = Path(__file__).parents[4]
#: FastStream makes the processor's consumers, and the pool of ingest shares one client among producers.
AIOKAFKA_CLIENTS = {"AIOKafkaProducer", "AIOKafkaConsumer", "AIOKafkaAdminClient"}
AT = TopicPartition("hospital.results", 0)
GONE = KafkaError("the broker is gone")


@pytest.fixture
async def complaints():
    """What asyncio was told of, and what it found unasked for."""
    found = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: found.append(context["message"]))
    return found


async def collected():
    for _ in range(3):
        await asyncio.sleep(0)
    gc.collect()


@pytest.mark.parametrize("transactional_id", [None, "processor-0"])
@pytest.mark.parametrize("transactions", [0, 1])
async def test_a_sender_that_fails_between_transactions_is_nobody_s_error(complaints, transactional_id, transactions):
    """Before the first there is no future to fail, after one a new future fails that nobody asks for."""
    producer = Producer(transactional_id=transactional_id, enable_idempotence=True)
    manager = producer._txn_manager
    manager.set_pid_and_epoch(1, 0)
    for _ in range(transactions if transactional_id else 0):
        manager.begin_transaction()
        manager.committing_transaction()
        manager.complete_transaction()
    manager.fatal_error(GONE)
    await producer.stop()
    del producer, manager
    await collected()
    assert complaints == []


async def test_a_transaction_that_was_given_up_fails_without_a_complaint(complaints):
    """And then its sender fails."""
    producer = Producer(transactional_id="processor-0")
    producer._txn_manager.set_pid_and_epoch(1, 0)
    producer._txn_manager.begin_transaction()
    producer._txn_manager.add_offsets_to_txn({AT: OffsetAndMetadata(1, "")}, "hospital-processor")
    producer._txn_manager.error_transaction(GONE)
    producer._txn_manager.fatal_error(GONE)
    await producer.stop()
    del producer
    await collected()
    assert complaints == []


async def test_whoever_waits_for_a_transaction_hears_how_it_ended(complaints):
    """Also when the producer is ended by force."""
    producer = Producer(transactional_id="processor-0")
    producer._txn_manager.set_pid_and_epoch(1, 0)
    producer._txn_manager.begin_transaction()
    commit = asyncio.create_task(producer.commit_transaction())
    await asyncio.sleep(0)
    producer._txn_manager.fatal_error(GONE)
    with pytest.raises(KafkaError):
        await commit
    await producer.stop()
    assert complaints == []


async def test_batches_that_were_given_up_fail_without_a_complaint(complaints):
    """One that waits, one that is under way, one that is to be sent again: nobody asks for their futures any more."""
    producer = Producer(enable_idempotence=True)
    accumulator = producer._message_accumulator
    producer._txn_manager.set_pid_and_epoch(1, 0)
    for partition, step in enumerate(("waiting", "under way", "to be sent again")):
        at = AT._replace(partition=partition)
        batch = accumulator.create_builder()
        batch.append(timestamp=None, key=b"k", value=b"v", headers=[])
        await accumulator.add_batch(batch, at, 1)
        if step != "waiting":
            sent = accumulator._pop_batch(at)
        if step == "to be sent again":
            accumulator.reenqueue(sent)
    accumulator.fail_all(GONE)
    await producer.stop()
    del producer, accumulator, batch, sent
    await collected()
    assert complaints == []


@pytest.mark.parametrize(
    ("error", "level", "stack"),
    [(GONE, "WARNING", False), (AttributeError("ours"), "ERROR", True), (ClientEnded("closed"), None, False)],
)
async def test_a_sender_that_kafka_refuses_is_logged_without_a_stack(caplog, error, level, stack):
    """It ends, and whoever sends hears of it. Only what is wrong with the program is shown with its stack."""
    producer = Producer(enable_idempotence=True)

    async def refuse():
        raise error

    producer._sender._maybe_wait_for_pid = refuse
    with pytest.raises(KafkaError):
        await producer._sender._sender_routine()
    await producer.stop()

    said = [each for each in caplog.records if "sender routine" in each.getMessage()]
    assert [each.levelname for each in said] == ([level] if level else [])
    assert [bool(each.exc_info) for each in said] == ([stack] if level else [])
    assert all(repr(error) in each.getMessage() for each in said if not stack)


def sources():
    """Every module of every program, with its tree."""
    for package in ("services", "shared", "deploy", "client"):
        for path in (ROOT / package).rglob("*.py"):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def test_every_program_makes_its_clients_in_one_way():
    """Those of aiokafka itself leave tasks and sockets behind a frozen broker."""
    found = [
        f"{path}:{node.lineno}"
        for path, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) in AIOKAFKA_CLIENTS
    ]
    assert found == []


def test_what_goes_wrong_with_kafka_is_one_tuple_everywhere():
    """A broker that is back with empty metadata makes aiokafka assert: a list of one's own would let that through."""
    found = [
        f"{path}:{node.lineno}"
        for path, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Tuple | ast.ExceptHandler) and "KafkaError" in names(node)
    ]
    assert [place.split(":")[0] for place in found] == ["shared/runtime/kafka/failures.py"], found


def names(node):
    """Those that it names itself."""
    parts = node.elts if isinstance(node, ast.Tuple) else [node.type]
    return {part.id for part in parts if isinstance(part, ast.Name)}
