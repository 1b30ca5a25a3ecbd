"""Messages in simulated time: retries, receivers that fail, hang and come back, and what is given up."""

import asyncio
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook
from structlog.testing import capture_logs

from services.status.webhooks.deliveries import Deliveries, Message
from tests.support.status.webhook_doubles import (
    KEY,
    SECRET,
    EndedJobs,
    FakeDeadLetters,
    FakeReceiver,
    PlainStatuses,
    SimulatedTime,
    finished,
    record_of,
)

NORTH, SOUTH = "https://north.example/hooks/s3cret?token=t", "https://south.example/"
HOUR, DAY = 3_600, 86_400


class World:
    """Deliveries between fakes."""

    def __init__(self, **options) -> None:
        self.time = SimulatedTime()
        self.receiver, self.dead_letters, self.statuses = FakeReceiver(self.time), FakeDeadLetters(), PlainStatuses()
        self.ended = EndedJobs()
        self.deliveries = Deliveries(
            options.pop("addresses", {"north": (NORTH,), "south": (SOUTH,)}),
            KEY,
            self.statuses,
            self.ended,
            self.receiver,
            self.dead_letters,
            self.time.clock,
            self.time.sleep,
            **options,
        )
        self.tasks = []

    def deliver(self, *events):
        """Begins to deliver them. Returns the tasks."""
        tasks = [asyncio.create_task(self.deliveries.deliver(Message(each, record_of(each)))) for each in events]
        self.tasks += tasks
        return tasks


@pytest.fixture
async def world():
    made = []

    def make(**options):
        made.append(World(**options))
        return made[-1]

    yield make
    for each in made:
        for task in each.tasks:
            task.cancel()
        await asyncio.gather(*each.tasks, return_exceptions=True)


async def test_a_message_that_is_taken_is_posted_once(world):
    """To every address of its tenant, and to no other's."""
    all_of_it = world(addresses={"north": (NORTH, f"{NORTH}2"), "south": (SOUTH,)})
    [task] = all_of_it.deliver(finished())
    await all_of_it.time.advance(DAY * 2)
    assert task.done()
    assert sorted(url for url, *_ in all_of_it.receiver.tries) == [NORTH, f"{NORTH}2"]
    assert all_of_it.dead_letters.records == []


async def test_one_that_is_not_taken_is_tried_for_a_day_and_then_a_dead_letter(world):
    """After about 5 s, 30 s, 2 min, 10 min, then hourly; always under the same id."""
    one = world()
    one.receiver.answers[NORTH] = "it answered 500"
    event = finished()
    [task] = one.deliver(event)
    await one.time.advance(23 * HOUR)
    assert not task.done()
    times = one.receiver.times(NORTH)
    assert times[:7] == [0, 5, 35, 155, 755, 755 + HOUR, 755 + 2 * HOUR]
    await one.time.advance(HOUR)
    assert task.done()
    assert len(one.receiver.times(NORTH)) == 5 + 23
    assert {message_id for *_, message_id in one.receiver.tries} == {event.event_id}
    assert one.dead_letters.records == [record_of(event)]
    assert one.dead_letters.reasons == ["webhook not delivered to https://north.example for 24 h: it answered 500"]


async def test_a_receiver_that_is_away_for_an_hour_gets_everything_when_it_is_back(world):
    """Each message once more, at its next try."""
    one = world()
    one.receiver.answers[NORTH] = "ClientConnectorError"
    tasks = one.deliver(*(finished(f"job-{number}") for number in range(20)))
    await one.time.advance(HOUR)
    assert not any(task.done() for task in tasks)
    del one.receiver.answers[NORTH]
    one.receiver.tries.clear()
    await one.time.advance(HOUR)
    assert all(task.done() for task in tasks)
    assert sorted(message_id for *_, message_id in one.receiver.tries) == sorted(
        f"job-{number}:JobFinished:1" for number in range(20)
    )


async def test_a_receiver_that_hangs_keeps_no_other_waiting(world):
    """Not even one that hangs on every message."""
    one = world()
    one.receiver.answers[NORTH] = hanging = asyncio.Event()
    hung = one.deliver(*(finished(f"job-{number}") for number in range(50)))
    await one.time.advance(0)
    others = one.deliver(*(finished(f"job-{number}", tenant="south") for number in range(50)))
    await one.time.advance(0)
    assert all(task.done() for task in others)
    assert not any(task.done() for task in hung)
    assert len(one.receiver.times(NORTH)) == 4, "a few at a time"
    hanging.set()
    await one.time.advance(0)
    assert len(one.receiver.times(NORTH)) == 50


class CountedBody(bytes):
    """Counts those that are kept."""

    kept = 0

    def __new__(cls, content):
        cls.kept += 1
        return super().__new__(cls, content)

    def __del__(self):
        CountedBody.kept -= 1


async def test_no_body_is_kept_while_its_message_waits(world):
    """Neither for its turn nor for its next try: each may be large, and would be out of date."""
    one = world()

    async def body(event):
        return CountedBody(event.job_id.encode())

    async def post(url, body, headers):
        await hanging.wait()
        return "no answer"

    hanging = asyncio.Event()
    one.statuses.body, one.receiver.post = body, post
    one.deliver(*(finished(f"job-{number}") for number in range(50)))
    await one.time.advance(0)
    assert CountedBody.kept == 4
    hanging.set()
    await one.time.advance(0)
    assert CountedBody.kept == 0


async def test_what_is_posted_is_the_status_at_that_moment(world):
    """Not that of the moment in which its turn was far away."""
    one = world()
    one.receiver.answers[NORTH] = hanging = asyncio.Event()
    one.deliver(*(finished(f"job-{number}") for number in range(50)))
    await one.time.advance(0)
    assert len(one.statuses.asked) == 4
    hanging.set()
    await one.time.advance(0)
    assert len(one.statuses.asked) == 50


async def test_an_error_of_a_driver_posts_nothing_again(world):
    """The status is asked for again; who has taken the message gets it once."""
    one = world(addresses={"north": (NORTH, f"{NORTH}2")})
    one.statuses.faults = 1
    with capture_logs():
        [task] = one.deliver(finished())
        await one.time.advance(60)
    assert task.done()
    assert sorted(url for url, *_ in one.receiver.tries) == [NORTH, f"{NORTH}2"]


async def test_each_end_of_a_round_is_a_message_of_its_own(world):
    """With an id of its own."""
    one = world()
    one.deliver(finished(), finished(round_=2))
    await one.time.advance(0)
    assert [message_id for *_, message_id in one.receiver.tries] == ["job-1:JobFinished:1", "job-1:JobFinished:2"]


async def test_every_try_is_signed_at_its_own_time(world):
    """Receivers refuse a signature that is older than some minutes."""
    one = world()
    one.receiver.answers[NORTH] = "it answered 503"
    one.deliver(finished())
    await one.time.advance(HOUR)
    stamps = []
    for body, headers in one.receiver.messages:
        stamp = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        assert headers["webhook-signature"] == Webhook(SECRET).sign(headers["webhook-id"], stamp, body.decode())
        stamps.append(stamp.timestamp())
    assert [stamp - stamps[0] for stamp in stamps] == [0, 5, 35, 155, 755]


async def test_a_failure_is_a_line_in_the_log_without_the_address_s_secrets(world):
    """An operator sees who does not take what, and when it is tried again."""
    one = world()
    one.receiver.answers[NORTH] = "it answered 401"
    with capture_logs() as logs:
        one.deliver(finished())
        await one.time.advance(1)
    [line] = logs
    assert line | {"event": "webhook_failed", "receiver": "https://north.example", "next_in_seconds": 5.0} == line
    assert "s3cret" not in str(logs)


async def test_a_job_that_is_gone_is_a_dead_letter(world):
    """There is no status to post."""
    one = world()
    one.statuses.gone.add("job-1")
    [task] = one.deliver(finished())
    await one.time.advance(0)
    assert task.done()
    assert "deleted" in one.dead_letters.reasons[0]


async def test_a_dead_letter_that_cannot_be_written_is_written_later(world):
    """Until then the message is not done."""
    one = world()
    one.dead_letters.failures = 2
    one.statuses.gone.add("job-1")
    [task] = one.deliver(finished())
    await one.time.advance(9)
    assert not task.done()
    await one.time.advance(1)
    assert task.done()
    assert len(one.dead_letters.records) == 1


async def test_a_tenant_whose_receiver_is_dead_fills_no_memory(world):
    """What is too much is a dead letter at once; other tenants are not concerned."""
    one = world(most_pending=10)
    one.receiver.answers[NORTH] = "it answered 500"
    tasks = one.deliver(*(finished(f"job-{number}") for number in range(12)))
    await one.time.advance(0)
    assert [task.done() for task in tasks] == [False] * 10 + [True] * 2
    assert one.dead_letters.reasons == ["10 older messages for https://north.example were not taken"] * 2
    [other] = one.deliver(finished(tenant="south"))
    await one.time.advance(0)
    assert other.done()


async def test_a_dead_address_takes_nothing_from_a_healthy_one_of_its_tenant(world):
    """Each has messages of its own that wait."""
    one = world(most_pending=10, addresses={"north": (NORTH, SOUTH)})
    one.receiver.answers[NORTH] = "it answered 500"
    one.deliver(*(finished(f"job-{number}") for number in range(30)))
    await one.time.advance(0)
    assert len(one.receiver.times(SOUTH)) == 30
    assert len(one.receiver.times(NORTH)) == 10
    assert one.dead_letters.reasons == ["10 older messages for https://north.example were not taken"] * 20


async def test_a_tenant_s_flood_at_an_address_takes_nothing_from_another_tenant_there(world):
    """Two tenants may have the same receiver."""
    one = world(most_pending=10, addresses={"north": (NORTH,), "south": (NORTH,)})
    one.receiver.answers[NORTH] = "it answered 500"
    one.deliver(*(finished(f"job-{number}") for number in range(12)))
    await one.time.advance(0)
    [other] = one.deliver(finished(tenant="south"))
    await one.time.advance(0)
    assert not other.done()
    assert len(one.dead_letters.records) == 2


async def test_a_job_that_waits_for_its_activation_does_not_count(world):
    """A directory that activates nothing for an hour makes no message of others a dead letter."""
    one = world(most_pending=10)
    one.ended.running = {f"job-{number}" for number in range(30)}
    one.deliver(*(finished(f"job-{number}") for number in range(30)))
    await one.time.advance(0)
    [other] = one.deliver(finished("other"))
    await one.time.advance(0)
    assert other.done()
    assert one.receiver.times(NORTH) == [0]
    assert one.dead_letters.records == []


async def test_a_message_that_is_a_day_old_is_tried_once(world):
    """The service was away: a try costs little."""
    one = world()
    one.receiver.answers[NORTH] = "it answered 500"
    one.time.moment = one.time.moment.replace(day=9)
    [task] = one.deliver(finished())
    await one.time.advance(0)
    assert task.done()
    assert len(one.receiver.tries) == len(one.dead_letters.records) == 1
