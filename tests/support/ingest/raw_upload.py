"""An upload by bare sockets: so cheap for the client that hundreds at once measure the service."""

import asyncio
import time
from typing import NamedTuple


class RawAnswer(NamedTuple):
    """What came back, and how long after the connection was asked for."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float


def request(key: str, content: bytes) -> bytes:
    """The bytes of an upload."""
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    body = part + content + b"\r\n--b--\r\n"
    head = (
        "POST /api/v1/hospitals/bulk HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Idempotency-Key: {key}\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    return head.encode() + body


async def raw_upload(port: int, key: str, content: bytes) -> RawAnswer:
    """Sends a file to the service on this port."""
    return await raw_request(port, request(key, content))


async def raw_request(port: int, sent: bytes) -> RawAnswer:
    """Sends these bytes, and reads until the service closes the connection."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return RawAnswer(int(status.split()[1]), headers, body, time.monotonic() - began)
