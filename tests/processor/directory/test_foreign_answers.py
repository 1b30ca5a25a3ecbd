"""What an ingress, a proxy or a login page says in the directory's place: nothing final follows from it."""

import pytest
from aiohttp import web

from services.processor.directory.outcomes import (
    Activated,
    Listed,
    LookupFailed,
    Rejected,
    ServiceRejected,
    Throttled,
    Unanswered,
)
from tests.support.processor.directory_server import allowed, answer, answering, directory
from tests.support.processor.lane_doubles import accepted

PAGE = "<!DOCTYPE html><html><head><title>default backend - 404</title></head><body>nginx</body></html>"


@pytest.mark.parametrize(
    ("status", "text", "content_type"),
    [
        (404, PAGE, "text/html"),
        (404, PAGE, "application/json"),
        (404, "", "text/plain"),
        (404, "", "application/json"),
        (404, "404 page not found", "text/plain"),
        (404, '{"detail": "no such batch"}', "text/plain"),
        (404, "null", "application/json"),
        (200, PAGE, "text/html"),
        (200, "[]", "text/plain"),
        (200, "[]", "text/html"),
        (200, "", "application/json"),
        (200, "words", "text/plain"),
        (403, PAGE, "text/html"),
    ],
)
async def test_nothing_but_the_directorys_own_json_shows_that_a_hospital_is_absent(status, text, content_type):
    """An ingress whose backend was gone answered 404 with a page, and every hospital was created again."""
    async with answering(answer(status, text, content_type)) as url, directory(url) as client:
        outcome = await client.look_up("batch")
    assert isinstance(outcome, LookupFailed)
    assert f"HTTP {status}" in outcome.message
    assert "Is HOSPITAL_API_BASE_URL right?" in outcome.message


@pytest.mark.parametrize("content_type", ["application/json", "application/problem+json", "application/hal+json"])
async def test_every_kind_of_json_is_the_directorys(content_type):
    """Also the one for problems (RFC 9457)."""
    async with answering(answer(404, '{"title": "no such batch"}', content_type)) as url, directory(url) as client:
        assert await client.look_up("batch") == Listed(())


async def test_the_message_names_the_page_that_came():
    """So that an operator recognizes it."""
    async with answering(answer(404, PAGE, "text/html")) as url, directory(url) as client:
        outcome = await client.look_up("batch")
    assert outcome.message == (
        "HTTP 404 came with something else than the directory's JSON (text/html: 'default backend - 404'). "
        "Is HOSPITAL_API_BASE_URL right?"
    )


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, Unanswered),
        (201, Unanswered),
        (301, Unanswered),
        (400, Unanswered),
        (409, Unanswered),
        (413, Unanswered),
        (422, Unanswered),
        (500, Unanswered),
        (502, Unanswered),
        (403, ServiceRejected),
        (404, ServiceRejected),
        (429, Throttled),
    ],
)
async def test_a_page_rejects_no_row_and_creates_none(status, kind):
    """A wrong address would otherwise reject every row for good. A page's 500 does not say that a call is finished."""
    async with answering(answer(status, PAGE, "text/html")) as url, directory(url) as client:
        outcome = await client.create(accepted(), allowed)
    assert isinstance(outcome, kind)
    if status not in {429, 500, 502}:
        assert "Is HOSPITAL_API_BASE_URL right?" in outcome.message


@pytest.mark.parametrize(
    ("status", "text", "content_type", "kind"),
    [
        (200, PAGE, "text/html", Unanswered),
        (200, "activated", "text/plain", Unanswered),
        (204, "", "application/octet-stream", Activated),
        (200, '{"activated": 1}', "application/json", Activated),
        (404, PAGE, "text/html", ServiceRejected),
        (404, "", "text/plain", ServiceRejected),
        (404, '{"detail": "no such batch"}', "application/json", Rejected),
    ],
)
async def test_only_the_directory_says_that_a_batch_is_activated_or_unknown(status, text, content_type, kind):
    """Not a login page, and not an ingress whose backend is gone."""
    async with answering(answer(status, text, content_type)) as url, directory(url) as client:
        assert isinstance(await client.activate("batch"), kind)


async def test_json_that_is_called_a_page_may_reject_a_row():
    """A PHP directory that forgets the content type still says in its own words what is wrong."""
    async with answering(answer(422, '{"detail": "too long"}', "text/html")) as url, directory(url) as client:
        assert await client.create(accepted(), allowed) == Rejected(422, "too long")


async def test_the_title_of_a_gateways_page_is_its_message():
    """Without the tags."""
    page = "<html><head><title>502 Bad Gateway</title></head><body><hr>nginx</body></html>"
    async with answering(answer(502, page, "text/html")) as url, directory(url) as client:
        assert await client.create(accepted(), allowed) == Unanswered("502 Bad Gateway", 502)


@pytest.mark.parametrize("charset", ["latin-1", "no-such-charset", "utf-16"])
async def test_text_in_any_encoding_becomes_a_message(charset):
    """Also in one that nobody knows."""

    async def handler(_):
        return web.Response(status=422, body=b"too l\xe4ng", headers={"Content-Type": f"text/plain; charset={charset}"})

    async with answering(handler) as url, directory(url) as client:
        outcome = await client.create(accepted(), allowed)
    assert isinstance(outcome, Rejected)
    assert outcome.message.isprintable()
