"""Clients that open an upload and then say nothing: each is answered in bounded time, and nobody else notices them."""

import asyncio
import json
from contextlib import AsyncExitStack

import pytest

from services.ingest.service import Limits
from services.ingest.upload.admission import AdmissionLimits
from services.ingest.upload.body import BodyTimeouts
from tests.support.ingest.ingest_server import CSV, UPLOAD, VALIDATE, ingest, upload
from tests.support.until import until

HEAD = "POST {} HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nContent-Length: 9999\r\n{}"
TYPE = "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
SILENT = {
    "head only": HEAD.format(UPLOAD, TYPE),
    "asks first": HEAD.format(UPLOAD, "Expect: 100-continue\r\n" + TYPE),
    "one byte": HEAD.format(UPLOAD, TYPE) + "-",
    "half a file": HEAD.format(UPLOAD, TYPE)
    + '--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nname,add',
    "a dry run": HEAD.format(VALIDATE, TYPE) + "-",
}
#: A client that is silent for 0.1 s does not count; after 5 s it is given up.
TIMEOUTS = BodyTimeouts(chunk_seconds=5, silent_seconds=0.1, drain_seconds=0.1)


async def test_silent_clients_take_nobodys_place_and_are_answered(tmp_path):
    """Three that begin, as many as there may be uploads at a time, and two that do not even begin."""
    limits = Limits(body=TIMEOUTS, admission=AdmissionLimits(uploads=3))
    async with ingest(tmp_path, limits=limits) as client, AsyncExitStack() as stack, asyncio.timeout(60):
        answers = []
        for sent in SILENT.values():
            reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
            stack.callback(writer.close)
            writer.write(sent.encode())
            answers.append(asyncio.create_task(final_answer(reader)))

        async def is_served() -> bool:
            return (await upload(client, CSV, None, path=VALIDATE)).status_code == 200

        await until("somebody else is served", is_served, 4)
        assert not any(answer.done() for answer in answers), "they were given up first"
        for status, body in await asyncio.gather(*answers):
            assert (status, json.loads(body)["error_type"]) == (408, "upload_too_slow")


@pytest.mark.parametrize(
    ("bytes_at_once", "status"), [pytest.param(100, 200, id="steady"), pytest.param(1, 408, id="a drip")]
)
async def test_an_upload_may_take_long_when_it_comes_steadily(tmp_path, bytes_at_once, status):
    """The limit of time grows with what has come: 0.5 s, and a second for each 1,000 bytes."""
    timeouts = BodyTimeouts(body_seconds=0.5, body_bytes_per_second=1_000, drain_seconds=0.1)
    body = b"\r\n".join(
        (
            b"--b",
            b'Content-Disposition: form-data; name="file"; filename="a.csv"',
            b"",
            CSV.ljust(6_000, b"\n"),
            b"--b--",
        )
    )
    async with ingest(tmp_path, limits=Limits(body=timeouts)) as client, asyncio.timeout(60):
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        head = f"POST {VALIDATE} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{TYPE}"
        answer = asyncio.create_task(final_answer(reader))
        writer.write(head.encode())
        for begin in range(0, len(body), bytes_at_once):
            if answer.done():
                break
            writer.write(body[begin : begin + bytes_at_once])
            await asyncio.sleep(0.015)
        code, _ = await answer
        assert code == status
        writer.close()


async def final_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The status and the body, after a 100 Continue if there is one."""
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 100 " in head.partition(b"\r\n")[0]:
        head = await reader.readuntil(b"\r\n\r\n")
    [length] = [int(line.split(b":")[1]) for line in head.lower().splitlines() if line.startswith(b"content-length")]
    return int(head.split()[1]), await reader.readexactly(length)


@pytest.mark.parametrize("sent", [SILENT["one byte"], SILENT["half a file"]], ids=["one byte", "half a file"])
async def test_a_client_that_goes_on_when_others_took_its_place_is_told_to_come_back(tmp_path, sent):
    """503, as for whoever comes when there are too many. Until it goes on it does not count."""
    limits = Limits(body=TIMEOUTS, admission=AdmissionLimits(uploads=1))
    async with ingest(tmp_path, limits=limits) as client, asyncio.timeout(60):
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(sent.encode())

        async def status() -> int:
            return (await upload(client, CSV, None, path=VALIDATE)).status_code

        async def is_free() -> bool:
            return await status() == 200

        async def is_full() -> bool:
            return await status() == 503

        await until("the silent one does not count", is_free, 4)
        _, other = await asyncio.open_connection(client.base_url.host, client.base_url.port)

        async def keep_sending() -> None:
            other.write(SILENT["half a file"].encode())
            while True:
                other.write(b"x")
                await asyncio.sleep(0.01)

        sending = asyncio.create_task(keep_sending())
        await until("the other one counts", is_full, 4)
        writer.write(b"x")
        code, body = await final_answer(reader)
        assert (code, json.loads(body)["error_type"]) == (503, "busy")
        sending.cancel()
        writer.close()
        other.close()
