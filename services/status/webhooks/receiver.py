"""Posts one message to one address, and says in a few words why it was not taken."""

from typing import Final, Protocol

import aiohttp
from yarl import URL

#: For everything, also of a receiver that takes the body and says nothing.
_SECONDS: Final = 15.0


class Receiver(Protocol):
    """Where messages are posted."""

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> str | None:
        """Posts a message. Returns why it was not taken, None when it was."""


class HttpReceiver:
    """The network. Redirects are not followed: the operator names the address, and nobody else."""

    def __init__(self, seconds: float = _SECONDS) -> None:
        self._timeout = aiohttp.ClientTimeout(total=seconds)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> str | None:
        """Any answer of 200 to 299 takes it."""
        if self._session is None:
            # No cookies: what one tenant's receiver sets is no other's affair.
            # No limit of connections: whoever hangs would keep others waiting. Each address is posted few at a time.
            connector = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar()
            )
        try:
            # As it was configured: yarl would write some signs of a path otherwise.
            given = URL(url, encoded=True)
            async with self._session.post(given, data=body, headers=headers, allow_redirects=False) as answer:
                return None if 200 <= answer.status < 300 else f"it answered {answer.status}"
        except TimeoutError:
            return f"no answer within {self._timeout.total:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return type(error).__name__

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()
