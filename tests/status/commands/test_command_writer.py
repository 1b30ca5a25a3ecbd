"""A command that is said not to stand never stands, whatever Kafka's client does after its caller was answered."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka.errors import KafkaConnectionError, ProducerFenced

from services.status.commands.command_writer import CommandNotTaken, CommandUnsettled, CommandWriter, WrittenCommand
from shared.runtime.http.answer_budget import AnswerBudget
from shared.runtime.settings import KafkaSettings
from tests.support.status.job_histories import JobHistory
from tests.support.until import until

CANCEL = JobHistory().cancelled()


class FakeBroker:
    """What producers with one transactional id have done. A step that is named in `hangs` is never answered."""

    def __init__(self):
        self.steps = []
        self.producers = 0
        self.hangs = set()
        self.fails = {}
        self.deaf = False
        self.thawed = asyncio.Event()

    def make(self, _settings, transactional_id):
        self.id = transactional_id
        self.producers += 1
        return FakeProducer(self, self.producers)

    async def step(self, producer, name):
        self.steps.append((producer, name))
        if name in self.hangs:
            await self._hang()
        if name in self.fails:
            raise self.fails[name]

    async def _hang(self):
        while not self.thawed.is_set():
            try:
                await self.thawed.wait()
            except asyncio.CancelledError:
                if not self.deaf:  # aiokafka's waits can lose a cancellation that comes with the answer
                    raise

    def committed(self):
        return [producer for producer, name in self.steps if name == "commit"]


class FakeProducer:
    def __init__(self, broker, number):
        self._broker = broker
        self._number = number

    async def start(self):
        await self._broker.step(self._number, "start")

    async def stop(self):
        await self._broker.step(self._number, "stop")

    async def begin_transaction(self):
        await self._broker.step(self._number, "begin")

    async def send_and_wait(self, topic, **_):
        await self._broker.step(self._number, "send")
        return SimpleNamespace(topic=topic, partition=2, offset=40)

    async def commit_transaction(self):
        await self._broker.step(self._number, "commit")


class FakeCommitted:
    """What a reader finds; None = Kafka does not answer."""

    def __init__(self):
        self.found = None
        self.asked = 0

    async def holds(self, written):
        self.asked += 1
        assert written == WrittenCommand(written.partition, 40)
        if self.found is None:
            await asyncio.Event().wait()
        return self.found


@pytest.fixture
def broker():
    return FakeBroker()


@pytest.fixture
def committed():
    return FakeCommitted()


@pytest.fixture
async def writer(broker, committed):
    writer = CommandWriter(KafkaSettings(kafka_topic_prefix="t."), broker.make, committed)
    yield writer
    broker.thawed.set()
    await writer.close()


async def test_a_command_stands_when_its_commit_was_answered(writer, broker):
    """One producer serves one command after the other; its id begins with the name of the service."""
    for _ in range(2):
        written = await writer.append(CANCEL, AnswerBudget())
        assert (written.partition, written.offset) == (("t.hospital.jobs", 2), 40)
    assert [name for _, name in broker.steps] == ["start", *["begin", "send", "commit"] * 2]
    assert broker.id.startswith("t.status-commands-")


@pytest.mark.parametrize("step", ["start", "begin", "send"])
@pytest.mark.parametrize("deaf", [False, True])
async def test_a_command_whose_time_is_up_before_its_commit_is_never_committed(writer, broker, step, deaf):
    """Also when its record is acknowledged later, and when the client has lost that it was cancelled."""
    broker.hangs, broker.deaf = {step}, deaf
    with pytest.raises(CommandNotTaken):
        await writer.append(CANCEL, AnswerBudget(0.3))
    broker.thawed.set()
    await asyncio.sleep(0.05)
    assert broker.committed() == []


@pytest.mark.parametrize("step", ["start", "begin", "send"])
async def test_a_command_that_fails_before_its_commit_is_never_committed(writer, broker, step):
    """The caller hears so at once, and the next command has a new producer: it ends what was left open."""
    broker.fails = {step: KafkaConnectionError("gone")}
    with pytest.raises(CommandNotTaken, match="gone"):
        await writer.append(CANCEL, AnswerBudget())
    broker.fails = {}
    await writer.append(CANCEL, AnswerBudget())
    assert broker.committed() == [broker.producers]
    assert broker.producers > 1


async def test_a_commit_does_not_begin_when_no_time_is_left_for_its_answer(writer, broker):
    """Else its end would be unknown for no need."""
    with pytest.raises(CommandNotTaken):
        await writer.append(CANCEL, AnswerBudget(0.1))
    assert broker.committed() == []


@pytest.mark.parametrize("stands", [True, False])
@pytest.mark.parametrize("error", [KafkaConnectionError("gone"), ProducerFenced(), AssertionError("bootstrap")])
async def test_a_commit_that_failed_is_fenced_and_then_read_back(writer, broker, committed, error, stands):
    """A broker that died in the middle of it may have committed it, or not."""
    broker.fails, committed.found = {"commit": error}, stands
    if stands:
        assert (await writer.append(CANCEL, AnswerBudget())).offset == 40
    else:
        with pytest.raises(CommandNotTaken):
            await writer.append(CANCEL, AnswerBudget())
    fenced = broker.steps.index((2, "start"))
    assert broker.steps.index((1, "commit")) < fenced
    assert committed.asked == 1


async def test_a_commit_without_an_answer_is_unknown_until_kafka_is_back(writer, broker, committed):
    """Neither yes nor no is said; it is settled later, so that nothing stays open."""
    broker.hangs = {"commit"}
    with pytest.raises(CommandUnsettled):
        await writer.append(CANCEL, AnswerBudget(0.5))
    committed.found = True
    await until("it is settled", lambda: committed.asked >= 1 and (2, "start") in broker.steps, 5)


async def test_what_a_command_left_open_is_ended_without_waiting_for_the_next_command(writer, broker):
    """An open transaction hides what everybody else writes to the partition."""
    broker.hangs = {"send"}
    with pytest.raises(CommandNotTaken):
        await writer.append(CANCEL, AnswerBudget(0.3))
    await until("the next producer has fenced it", lambda: (2, "start") in broker.steps, 5)


async def test_a_caller_that_goes_away_in_the_middle_leaves_nothing_open(writer, broker):
    """Its transaction is not committed, and the next command is not in its way."""
    broker.hangs = {"send"}
    asked = asyncio.create_task(writer.append(CANCEL, AnswerBudget()))
    await until("it is sent", lambda: (1, "send") in broker.steps, 5)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    broker.hangs = set()
    await writer.append(CANCEL, AnswerBudget())
    assert broker.committed() == [2]


async def test_after_a_slow_commit_the_next_command_has_a_new_producer(broker, committed):
    """A copy of its requests may still be under way: of an older producer nothing counts any more."""
    times = iter(range(0, 1_000, 2))
    writer = CommandWriter(KafkaSettings(), broker.make, committed, lambda: float(next(times)))
    for _ in range(2):
        await writer.append(CANCEL, AnswerBudget())
    assert broker.committed() == [1, 2]
    await writer.close()


async def test_a_command_that_waits_in_vain_for_its_turn_does_not_disturb_the_one_before_it(writer, broker):
    """It has touched nothing: the producer stays, and the command under way stands."""
    broker.hangs = {"send"}
    first = asyncio.create_task(writer.append(CANCEL, AnswerBudget(5)))
    await until("it is under way", lambda: (1, "send") in broker.steps, 5)
    with pytest.raises(CommandNotTaken):
        await writer.append(CANCEL, AnswerBudget(0.1))
    broker.thawed.set()
    assert (await first).offset == 40
    assert (broker.committed(), broker.producers) == ([1], 1)


async def test_the_next_in_turn_does_not_get_the_producer_of_the_one_that_failed(writer, broker):
    """It waits already when the other one fails."""
    await writer.append(CANCEL, AnswerBudget())
    broker.fails = {"send": KafkaConnectionError("gone")}
    asked = [asyncio.create_task(writer.append(CANCEL, AnswerBudget())) for _ in range(3)]
    await asyncio.gather(*asked, return_exceptions=True)
    assert [producer for producer, name in broker.steps if name == "send"] == [1, 1, 2, 3]


async def test_a_crowd_of_commands_without_kafka_leaves_one_task_behind(writer, broker):
    """However many people press the button."""
    broker.fails = {"begin": KafkaConnectionError("gone"), "start": KafkaConnectionError("gone")}
    before = len(asyncio.all_tasks())
    asked = [asyncio.create_task(writer.append(CANCEL, AnswerBudget())) for _ in range(50)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(answer) for answer in answers} == {CommandNotTaken}
    await asyncio.sleep(0.01)
    assert len(asyncio.all_tasks()) <= before + 2
