"""The sandbox over 127.0.0.1, through a real client."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from deploy.local.sandbox import NameRule, RateLimit, Sandbox

MARY = {"name": "St. Mary's", "address": "1 Main St", "phone": "555-0100", "creation_batch_id": "batch-1"}


@pytest.fixture
async def directory() -> AsyncIterator[Sandbox]:
    async with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def client(directory: Sandbox) -> AsyncIterator[aiohttp.ClientSession]:
    limit = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(directory.base_url, timeout=limit) as session:
        yield session


async def call(client: aiohttp.ClientSession, method: str, path: str, **how) -> tuple[int, object]:
    async with client.request(method, path, **how) as answer:
        return answer.status, await answer.json()


async def eventually(holds: Callable[[], bool], seconds: float = 5) -> None:
    """Looks until it holds; TimeoutError when it does not within ``seconds``."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - the sandbox counts, it does not signal
            await asyncio.sleep(0.01)


async def create(client: aiohttp.ClientSession, **changes) -> tuple[int, object]:
    return await call(client, "POST", "/hospitals/", json=MARY | changes)


async def test_a_hospital_of_a_batch_is_created_inactive_and_activated_with_its_batch(directory, client) -> None:
    """The walk that the processor takes."""
    status, hospital = await create(client)
    created_at = hospital.pop("created_at")
    assert (status, hospital) == (200, {"id": 1, **MARY, "active": False})
    assert created_at.endswith("+00:00")
    status, answer = await call(client, "PATCH", "/hospitals/batch/batch-1/activate")
    assert (status, answer["batch_id"], answer["activated"]) == (200, "batch-1", 1)
    _, listed = await call(client, "GET", "/hospitals/batch/batch-1")
    assert [found["active"] for found in listed] == [True]


async def test_a_hospital_without_a_batch_is_active_at_once(client) -> None:
    """There is no batch that could activate it later; phone may be missing."""
    _, hospital = await call(client, "POST", "/hospitals/", json={"name": "A", "address": "B"})
    assert (hospital["active"], hospital["phone"], hospital["creation_batch_id"]) == (True, None, None)


async def test_the_same_post_twice_makes_two_hospitals_and_is_counted_as_a_double(directory, client) -> None:
    """Not idempotent, key or no key: that is the whole difficulty."""
    for _ in range(2):
        await call(
            client, "POST", "/hospitals/", json=MARY, headers={"Idempotency-Key": "job:2:1", "traceparent": "00-a"}
        )
    assert len(directory.hospitals) == 2
    _, stats = await call(client, "GET", "/admin/stats")
    assert (stats["creates"], stats["doubles"]) == (2, [MARY | {"creates": 2}])
    _, log = await call(client, "GET", "/admin/creates")
    entry = dict(zip(log["fields"], log["entries"][0], strict=True))
    assert (entry["idempotency_key"], entry["traceparent"], entry["outcome"]) == ("job:2:1", "00-a", "answered")
    assert entry["port"] > 0


@pytest.mark.parametrize(
    ("body", "field", "kind"),
    [
        ({"address": "B"}, "name", "missing"),
        ({"name": "  ", "address": "B"}, "name", "string_too_short"),
        ({"name": "A", "address": ""}, "address", "string_too_short"),
        ({"name": "A" * 1001, "address": "B"}, "name", "string_too_long"),
        ({"name": "A", "address": 5}, "address", "string_type"),
        ({"name": "A", "address": "B", "phone": 5}, "phone", "string_type"),
    ],
)
async def test_a_bad_field_is_422_in_fastapis_shape(directory, client, body, field, kind) -> None:
    """Clients show the detail to people, so it looks as it does in production."""
    status, answer = await call(client, "POST", "/hospitals/", json=body)
    assert status == 422
    assert [(problem["loc"], problem["type"]) for problem in answer["detail"]] == [(["body", field], kind)]
    assert len(directory.hospitals) == 0


async def test_a_body_that_is_no_json_object_is_422(client) -> None:
    """Neither broken JSON nor a list is a hospital."""
    assert (await call(client, "POST", "/hospitals/", data=b"{"))[0] == 422
    assert (await call(client, "POST", "/hospitals/", json=[1]))[0] == 422


async def test_hospitals_are_found_replaced_and_deleted_by_id(client) -> None:
    """404 before and after; what is no integer is 422."""
    assert (await call(client, "GET", "/hospitals/1"))[0] == 404
    await create(client)
    status, changed = await call(client, "PUT", "/hospitals/1", json={"name": "New", "address": "Elsewhere"})
    assert (status, changed["name"], changed["creation_batch_id"]) == (200, "New", "batch-1")
    assert (await call(client, "GET", "/hospitals/1"))[1] == changed
    assert (await call(client, "GET", "/hospitals/"))[1] == [changed]
    assert (await call(client, "DELETE", "/hospitals/1"))[0] == 200
    assert (await call(client, "DELETE", "/hospitals/1"))[0] == 404
    assert (await call(client, "PUT", "/hospitals/1", json=MARY))[0] == 404
    assert (await call(client, "GET", "/hospitals/x"))[0] == 422


async def test_an_unknown_batch_lists_nothing_and_cannot_be_activated(client) -> None:
    """As the public directories have it; a deleted batch is unknown again."""
    await create(client)
    assert await call(client, "GET", "/hospitals/batch/none") == (200, [])
    assert (await call(client, "PATCH", "/hospitals/batch/none/activate"))[0] == 404
    assert (await call(client, "DELETE", "/hospitals/batch/batch-1"))[1]["deleted"] == 1
    assert await call(client, "GET", "/hospitals/batch/batch-1") == (200, [])
    assert (await call(client, "PATCH", "/hospitals/batch/batch-1/activate"))[0] == 404


async def test_a_path_without_its_slash_is_redirected_as_fastapi_does(directory, client) -> None:
    """307 keeps a POST a POST."""
    async with client.post("/hospitals", json=MARY, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (307, "/hospitals/")
    assert len(directory.hospitals) == 0


async def test_a_lost_answer_leaves_a_hospital_behind(directory, client) -> None:
    """The caller sees a closed connection, the directory holds the row."""
    directory.inject(lose_answer=1)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await create(client)
    assert len(directory.hospitals) == 1
    assert [(seen.status, seen.route) for seen in directory.request_log.requests] == [("dropped", "/hospitals/")]
    assert [creation.outcome for creation in directory.request_log.creations] == ["dropped"]


async def test_a_late_creation_comes_after_the_connection_is_gone(directory, client) -> None:
    """Nothing is there when the caller looks at once; it is there in the end, without an answer to the caller."""
    directory.inject(late=1, late_ms=150)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await create(client)
    assert await call(client, "GET", "/hospitals/batch/batch-1") == (200, [])
    assert directory.late_pending == 1
    await eventually(lambda: directory.late_pending == 0)
    assert len(directory.hospitals) == 1
    assert [creation.outcome for creation in directory.request_log.creations] == ["late"]


async def test_emptying_the_directory_also_drops_what_was_still_to_come_late(directory, client) -> None:
    """Else a round would find rows of the round before."""
    directory.inject(late=1, late_ms=60_000)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await create(client)
    await call(client, "DELETE", "/admin/hospitals")
    assert directory.late_pending == 0


@pytest.mark.parametrize(("fault", "held"), [("hang_before", 0), ("hang_after", 1)])
async def test_an_answer_that_never_comes_ends_when_the_caller_hangs_up(directory, client, fault, held) -> None:
    """With and without the creation; in flight until then, and not for ever after."""
    directory.inject(**{fault: 1})
    with pytest.raises(TimeoutError):
        await call(client, "POST", "/hospitals/", json=MARY, timeout=aiohttp.ClientTimeout(total=0.2))
    assert len(directory.hospitals) == held
    await eventually(lambda: directory.request_log.in_flight == 0)
    assert [seen.status for seen in directory.request_log.requests] == ["silent"]


async def test_a_seed_makes_a_round_repeatable(directory, client) -> None:
    """The same seed, the same answers; another fault changed in between does not restart the numbers."""

    async def statuses(seed: int) -> list[int]:
        directory.inject(error_before=0.5, seed=seed)
        first = [(await create(client))[0] for _ in range(15)]
        directory.inject(lookup_errors=1)
        return first + [(await create(client))[0] for _ in range(15)]

    once = await statuses(5)
    assert await statuses(5) == once
    assert await statuses(6) != once
    assert once[:15] != once[15:]


@pytest.mark.parametrize(("fault", "held"), [("error_before", 0), ("error_after", 1)])
async def test_a_500_may_come_before_or_after_the_creation(directory, client, fault, held) -> None:
    """The status alone does not tell which."""
    directory.inject(**{fault: 1})
    assert (await create(client))[0] == 500
    assert len(directory.hospitals) == held


async def test_a_429_says_when_to_come_back_and_creates_nothing(directory, client) -> None:
    """At random here; by the real limit below."""
    directory.inject(too_many=1, retry_after_seconds=7)
    async with client.post("/hospitals/", json=MARY) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
    assert len(directory.hospitals) == 0


async def test_the_rate_limit_lets_so_many_in_and_refuses_the_others(directory, client) -> None:
    """Twenty at once against five a minute; look-ups count like any other call; off means off."""
    directory.inject(rate_limit=RateLimit(requests=5, period_seconds=60))
    statuses = [status for status, _ in await asyncio.gather(*(create(client) for _ in range(20)))]
    assert sorted(statuses) == [200] * 5 + [429] * 15
    assert (await call(client, "GET", "/hospitals/batch/batch-1"))[0] == 429
    directory.inject(rate_limit=None)
    assert (await create(client))[0] == 200


async def test_a_change_of_another_fault_does_not_refill_the_rate_window(directory, client) -> None:
    """Else switching latency on would allow a burst that no real limit allows."""
    directory.inject(rate_limit=RateLimit(requests=1, period_seconds=60))
    assert (await create(client))[0] == 200
    directory.inject(latency_ms=1)
    assert (await create(client))[0] == 429


async def test_names_by_pattern_always_fail_while_others_pass(directory, client) -> None:
    """Poison rows."""
    directory.inject(name_rules=(NameRule(contains="Mary", status=422),))
    assert (await create(client))[0] == 422
    assert (await create(client, name="St. John"))[0] == 200


async def test_a_dripping_body_arrives_whole_but_slowly(directory, client) -> None:
    """Every byte restarts a per-read time-out, which is why the total deadline exists."""
    directory.inject(drip_ms=2)
    began = asyncio.get_running_loop().time()
    status, hospital = await create(client)
    assert (status, hospital["name"]) == (200, MARY["name"])
    assert asyncio.get_running_loop().time() - began > 0.2


async def test_a_rewriting_directory_echoes_and_lists_other_names_than_it_was_sent(directory, client) -> None:
    """Doubles are still counted by what was sent."""
    directory.inject(rewrite="street")
    _, echoed = await create(client)
    _, (listed,) = await call(client, "GET", "/hospitals/batch/batch-1")
    assert echoed["name"] == listed["name"] == "Street Mary's"
    assert directory.request_log.creations[0].name == "St. Mary's"
    directory.inject(rewrite="upper")
    assert (await create(client))[1]["name"] == "ST. MARY'S"
    directory.inject(rewrite="trim")
    assert (await create(client, name="  Long   Name "))[1]["name"] == "Long Name"


async def test_look_ups_can_err_and_can_miss_the_newest(directory, client) -> None:
    """Neither means that a row is absent."""
    for name in ("A", "B", "C"):
        await create(client, name=name)
    directory.inject(lookup_hides_newest=1)
    _, listed = await call(client, "GET", "/hospitals/batch/batch-1")
    assert [hospital["name"] for hospital in listed] == ["A", "B"]
    directory.inject(lookup_errors=1)
    assert (await call(client, "GET", "/hospitals/batch/batch-1"))[0] == 500


async def test_a_required_token_opens_the_door(directory, client) -> None:
    """HOSPITAL_API_TOKEN travels as a bearer token."""
    directory.inject(token="secret")
    assert (await create(client))[0] == 401
    headers = {"Authorization": "Bearer secret"}
    assert (await call(client, "POST", "/hospitals/", json=MARY, headers=headers))[0] == 200


async def test_an_outage_never_reaches_admin(directory, client) -> None:
    """Who broke it must be able to mend it."""
    assert (await call(client, "PATCH", "/admin/faults", json={"outage": "dropped"}))[0] == 200
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await create(client)
    assert (await call(client, "PATCH", "/admin/faults", json={"outage": "unavailable"}))[0] == 200
    assert (await create(client))[0] == 503
    assert (await call(client, "DELETE", "/admin/faults"))[1]["outage"] == "none"
    assert (await create(client))[0] == 200


async def test_refused_connections_are_refused_by_the_machine_and_come_back_by_themselves(directory, client) -> None:
    """Also the kept-alive ones go; the same port listens again, with the same hospitals."""
    await create(client)
    assert (await call(client, "POST", "/admin/refuse", json={"seconds": 0.5}))[0] == 200
    with pytest.raises(aiohttp.ClientConnectorError):
        await create(client)
    async with asyncio.timeout(10):
        while not await answers(client):  # noqa: ASYNC110 - another's port has no event
            await asyncio.sleep(0.02)
    assert len(directory.hospitals) == 1


async def test_a_kept_connection_is_no_way_round_a_refused_port(directory, client) -> None:
    """The outage comes from another caller; the connection that a pool kept is gone as well."""
    await create(client)
    async with aiohttp.ClientSession(directory.base_url) as operator:
        await call(operator, "POST", "/admin/refuse", json={"seconds": 60})
    with pytest.raises(aiohttp.ClientConnectionError):
        await create(client)
    assert len(directory.hospitals) == 1


async def test_nothing_comes_late_after_the_sandbox_is_gone() -> None:
    """A test that ended does not change what it held."""
    async with Sandbox() as directory, aiohttp.ClientSession(directory.base_url) as client:
        directory.inject(late=1, late_ms=60_000)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await create(client)
        assert directory.late_pending == 1
    assert directory.late_pending == 0


async def answers(client: aiohttp.ClientSession) -> bool:
    with contextlib.suppress(aiohttp.ClientError):
        return (await call(client, "GET", "/admin"))[0] == 200
    return False


async def test_patch_changes_the_named_faults_and_put_replaces_them_all(client) -> None:
    """PATCH adds to what is on, PUT is the whole truth, a bad one changes nothing and says why."""
    await call(client, "PATCH", "/admin/faults", json={"latency_ms": 1})
    _, both = await call(client, "PATCH", "/admin/faults", json={"jitter_ms": 2})
    assert (both["latency_ms"], both["jitter_ms"]) == (1, 2)
    status, answer = await call(client, "PATCH", "/admin/faults", json={"jiter_ms": 3})
    assert (status, answer["detail"][0]["loc"]) == (422, ["jiter_ms"])
    _, one = await call(client, "PUT", "/admin/faults", json={"jitter_ms": 4})
    assert (one["latency_ms"], one["jitter_ms"]) == (0, 4)
    assert (await call(client, "GET", "/admin"))[1] == one


async def test_stats_count_requests_in_any_window_but_never_admins(directory, client) -> None:
    """Refused ones count too: the window judges the caller."""
    directory.inject(token="secret")
    for _ in range(3):
        await create(client)
        await call(client, "GET", "/admin/stats")
    _, stats = await call(client, "GET", "/admin/stats", params={"window": "60"})
    assert stats["busiest_window"] == {"seconds": 60, "requests": 3}
    assert stats["requests"] == [{"method": "POST", "route": "/hospitals/", "status": "401", "count": 3}]
    assert (stats["requests_total"], stats["in_flight"], stats["peak_in_flight"]) == (3, 0, 1)
    for window in ("x", "0", "-1", "nan"):
        assert (await call(client, "GET", "/admin/stats", params={"window": window}))[0] == 422


async def test_the_request_log_is_read_on_from_where_one_stopped(client) -> None:
    """``next_since`` leads through the log without gaps or repeats."""
    for _ in range(3):
        await call(client, "GET", "/hospitals/")
    _, first = await call(client, "GET", "/admin/requests", params={"limit": 2})
    _, rest = await call(client, "GET", "/admin/requests", params={"since": first["next_since"]})
    assert [len(first["entries"]), len(rest["entries"])] == [2, 1]
    assert rest["entries"][0][0] > first["entries"][-1][0]
    _, none = await call(client, "GET", "/admin/requests", params={"since": rest["next_since"]})
    assert (none["entries"], none["next_since"]) == ([], rest["next_since"])


async def test_reset_leaves_nothing_but_ids_that_go_on_rising(directory, client) -> None:
    """An old id never comes to mean another hospital."""
    await create(client)
    await call(client, "PATCH", "/admin/faults", json={"latency_ms": 1})
    await call(client, "POST", "/admin/reset")
    _, stats = await call(client, "GET", "/admin/stats")
    assert (stats["hospitals"], stats["creates"], stats["requests_total"]) == (0, 0, 0)
    assert not directory.faults.active
    assert (await create(client))[1]["id"] == 2


async def test_the_page_names_no_other_host_and_its_numbers_come_from_the_overview(client) -> None:
    """It works on a machine without internet."""
    await create(client)
    async with client.get("/") as answer:
        html = await answer.text()
        assert (answer.status, answer.content_type) == (200, "text/html")
    assert "http://" not in html
    assert "https://" not in html
    _, overview = await call(client, "GET", "/admin/overview")
    assert overview["newest_batches"] == [{"batch_id": "batch-1", "total": 1, "active": 0}]
    assert [hospital["name"] for hospital in overview["newest_hospitals"]] == ["St. Mary's"]


async def start(port: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.local.sandbox"),
        env=os.environ | {"SANDBOX_PORT": port},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_as_a_process_it_prints_its_url_serves_and_stops_at_sigterm_though_a_call_hangs() -> None:
    """A caller that waits for ever does not keep `make run` from ending."""
    process = await start("0")
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        url = line.split(" on ")[1].split()[0]
        async with aiohttp.ClientSession(url) as client:
            await call(client, "PATCH", "/admin/faults", json={"hang_after": 1})
            hanging = asyncio.create_task(create(client))
            async with asyncio.timeout(5):
                while (await call(client, "GET", "/admin/stats"))[1]["in_flight"] == 0:  # noqa: ASYNC110 - nor has another process
                    await asyncio.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 5) == 0
            with pytest.raises(aiohttp.ClientError):
                await hanging
    finally:
        if process.returncode is None:
            process.kill()


async def test_a_taken_port_and_a_bad_port_end_it_with_one_line_that_says_what_to_do(directory) -> None:
    """No stack trace for a person at a terminal."""
    for port, expected in ((directory.base_url.rpartition(":")[2], "set SANDBOX_PORT"), ("x", "SANDBOX_PORT must be")):
        process = await start(port)
        _, error = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 1
        assert expected in error.decode()
        assert len(error.decode().splitlines()) == 1
