"""The origin's health is that of all services."""

import asyncio

import aiohttp
import pytest

from tests.deploy.origin.origin_upstreams import json_answer, origin, upstream

READY = json_answer(200, {"status": "ready", "dependencies": {}})


async def ask(path, ingest, status, processor, **options):
    """The origin's answer when its services answer so; None = that one is down. `options`: of create_app."""
    async with upstream(ingest) as first, upstream(status) as second, upstream(processor or READY) as third:
        services = {"ingest": first, "status": second, **({"processor": third} if processor else {})}
        async with (
            origin(options, **services) as running,
            aiohttp.ClientSession() as session,
            session.get(running.url + path) as answer,
        ):
            return answer.status, await answer.json()


@pytest.mark.parametrize(("path", "word"), [("/health", "alive"), ("/health/ready", "ready")])
async def test_all_well_is_200_and_names_every_service(path, word):
    """Each ok."""
    code, body = await ask(path, READY, READY, READY)
    assert code == 200
    assert body == {
        "status": word,
        "dependencies": {name: {"status": "ok"} for name in ("ingest", "status", "processor")},
    }


@pytest.mark.parametrize(("path", "word"), [("/health", "not_alive"), ("/health/ready", "not_ready")])
async def test_a_service_that_is_down_makes_it_503_and_is_named(path, word):
    """The others still say that they are well."""
    code, body = await ask(path, READY, READY, None)
    assert (code, body["status"]) == (503, word)
    assert body["dependencies"]["processor"]["status"] == "unavailable"
    assert "not running" in body["dependencies"]["processor"]["detail"]
    assert body["dependencies"]["ingest"] == body["dependencies"]["status"] == {"status": "ok"}


async def test_what_a_service_lacks_is_passed_on():
    """So that one look at the origin says: Kafka."""
    lacking = {"kafka": {"status": "unavailable", "detail": "no answer within 2 s"}, "database": {"status": "ok"}}
    unready = json_answer(503, {"status": "not_ready", "dependencies": lacking})
    code, body = await ask("/health/ready", READY, unready, READY)
    assert code == 503
    assert body["dependencies"]["status"] == {"status": "unavailable", "detail": "kafka: no answer within 2 s"}


@pytest.mark.parametrize("body", [[], "no object", None, {"dependencies": None}, {"dependencies": {"kafka": "down"}}])
async def test_a_strange_answer_is_a_reason_and_no_failure_of_the_origin(body):
    """Whatever stands at that address."""
    code, found = await ask("/health/ready", READY, json_answer(500, body), READY)
    assert (code, found["dependencies"]["status"]) == (503, {"status": "unavailable", "detail": "answered 500"})


async def test_a_service_that_does_not_answer_is_not_waited_for_without_end():
    """The origin says how long it waited."""

    async def never(_):
        await asyncio.sleep(60)

    code, body = await ask("/health", never, READY, READY, health_seconds=0.2)
    assert (code, body["dependencies"]["ingest"]["detail"]) == (503, "no answer within 0.2 s")
