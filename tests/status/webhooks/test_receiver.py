"""Real receivers: what counts as taken, and what becomes of those that do not answer."""

import asyncio
import time

import pytest

from services.status.webhooks.receiver import HttpReceiver
from services.status.webhooks.signature import signed_headers
from tests.support.status.webhook_doubles import KEY, real_receiver
from tests.support.until import until

BODY = b'{"type": "job.finished"}'


@pytest.fixture
async def real():
    async with real_receiver() as running:
        yield running


@pytest.fixture
async def receiver():
    made = HttpReceiver(seconds=1.0)
    yield made
    await made.close()


def headers(body=BODY):
    return signed_headers(KEY, "job-1:JobFinished:1", int(time.time()), body)


async def test_what_is_signed_is_taken(real, receiver):
    """By a receiver that uses the package of Standard Webhooks."""
    assert await receiver.post(f"{real.url}/hook", BODY, headers()) is None
    assert real.taken == [{"type": "job.finished"}]


async def test_what_was_changed_on_the_way_is_not(real, receiver):
    """Else the check above would prove nothing."""
    assert await receiver.post(f"{real.url}/hook", BODY + b" ", headers()) == "it answered 500"
    assert real.taken == []


@pytest.mark.parametrize("status", [302, 400, 404, 410, 500, 503])
async def test_any_other_answer_is_a_failure_and_redirects_lead_nowhere(real, receiver, status):
    """Who answers a redirect could send us anywhere inside the network."""
    real.status["/hook"] = status
    assert await receiver.post(f"{real.url}/hook", BODY, headers()) == f"it answered {status}"
    assert real.asked == ["/hook"]


async def test_a_receiver_that_hangs_costs_a_time_out(real, receiver):
    """Not more."""
    real.status["/hook"] = 0
    assert await asyncio.wait_for(receiver.post(f"{real.url}/hook", BODY, headers()), 30) == "no answer within 1 s"


async def test_a_receiver_that_is_away_is_named_by_its_error(receiver, free_port):
    """In a word."""
    assert "Connect" in await receiver.post(f"http://127.0.0.1:{free_port}/hook", BODY, headers())


async def test_receivers_that_hang_take_no_connection_from_others(real):
    """However many there are."""
    real.status["/hangs"] = 0
    receiver = HttpReceiver(seconds=10.0)
    hung = [asyncio.create_task(receiver.post(f"{real.url}/hangs", BODY, headers())) for _ in range(110)]
    try:
        await until("they hang", lambda: len(real.asked) >= 100, 30)
        assert await receiver.post(f"{real.url}/hook", BODY, headers()) is None
    finally:
        for task in hung:
            task.cancel()
        await asyncio.gather(*hung, return_exceptions=True)
        await receiver.close()


async def test_an_address_is_used_as_it_is_written(real, receiver):
    """Signs in its path may be a part of a secret."""
    assert await receiver.post(f"{real.url}/a%2Fb/c?d=%7E", BODY, headers()) is None
