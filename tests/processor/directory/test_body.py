"""How much of an answer is read."""

import pytest
from aiohttp import web

from services.processor.directory.body import LISTING_BYTES
from services.processor.directory.outcomes import LookupFailed, Unanswered
from tests.support.processor.directory_server import allowed, answering, directory, fixed
from tests.support.processor.lane_doubles import accepted


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_an_endless_answer_does_not_fill_the_memory(coding):
    """It is cut off at the limit, also while a packed one is being unpacked; the next call has a new connection."""
    written = 0

    async def endless(request):
        nonlocal written
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        if coding == "gzip":
            answer.enable_compression(web.ContentCoding.gzip)
        await answer.prepare(request)
        while True:
            await answer.write(b" " * 65536)
            written += 65536

    async with answering(endless) as url, directory(url, hospital_api_timeout=20.0) as client:
        assert await client.create(accepted(), allowed) == Unanswered("the directory's answer is longer than 1024 KiB")
        assert isinstance(await client.activate("batch"), Unanswered)
        before = written
        assert await client.look_up("batch") == LookupFailed("the directory's answer is longer than 16384 KiB")
        if coding == "identity":
            assert written - before < 2 * LISTING_BYTES


async def test_a_thousand_hospitals_are_within_the_limit():
    """A batch has no more. Fields may be long."""
    hospitals = [{"id": n, "name": "n" * 5000, "address": "a" * 5000, "phone": None} for n in range(1000)]
    async with answering(fixed(200, hospitals)) as url, directory(url, hospital_api_timeout=20.0) as client:
        listed = await client.look_up("batch")
    assert listed.whole
    assert len(listed.hospitals) == 1000
