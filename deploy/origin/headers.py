"""Headers that the origin forwards: all but those of one connection, unchanged."""

from collections.abc import Iterable
from typing import Final

from multidict import CIMultiDict
from starlette.datastructures import URL, Address

RawHeaders = Iterable[tuple[bytes, bytes]]

#: RFC 9110, 7.6.1: these are about one connection. Expect too: the origin itself answers 100 Continue.
HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"expect",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
#: The origin's own server writes these two into every answer.
WRITTEN_BY_THE_SERVER: Final = frozenset({b"date", b"server"})


def request_headers(headers: RawHeaders, client: Address | None, url: URL) -> CIMultiDict[str]:
    """A request's headers for the service, with the client's address, scheme and host in `X-Forwarded-*`.

    `client`: the client as uvicorn sees it; it believes an `X-Forwarded-For` from this machine only.
    """
    kept = CIMultiDict((name.decode("latin-1"), _text(value)) for name, value in _end_to_end(headers))
    kept["X-Forwarded-For"] = client.host if client else "unknown"
    kept["X-Forwarded-Proto"] = url.scheme
    kept["X-Forwarded-Host"] = url.netloc
    return kept


def response_headers(headers: RawHeaders) -> list[tuple[bytes, bytes]]:
    """A response's headers for the client; repeated ones such as Set-Cookie stay repeated."""
    return [(name, value) for name, value in _end_to_end(headers) if name not in WRITTEN_BY_THE_SERVER]


def _end_to_end(headers: RawHeaders) -> list[tuple[bytes, bytes]]:
    lowered = [(name.lower(), value) for name, value in headers]
    named = {part.strip().lower() for name, value in lowered if name == b"connection" for part in value.split(b",")}
    return [(name, value) for name, value in lowered if name not in HOP_BY_HOP | named]


def _text(value: bytes) -> str:
    # aiohttp sends UTF-8: bytes that are UTF-8 pass unchanged, others are read as latin-1, HTTP's old charset.
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
