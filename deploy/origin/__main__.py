"""`python -m deploy.origin`: one address for the page, both APIs, their documentation and the health of all."""

import asyncio

from deploy.origin.api import create_app
from deploy.origin.forwarding import client_session
from deploy.origin.settings import OriginSettings
from shared.runtime.http.http_server import bind, serve
from shared.runtime.logging import configure_logging
from shared.runtime.settings import load


async def run(settings: OriginSettings) -> None:
    """Listens until a signal."""
    listening = bind(settings.http, "ORIGIN_PORT")
    await serve(create_app(client_session(), settings.services), listening)


if __name__ == "__main__":
    settings = load(OriginSettings)
    configure_logging(settings, "origin")
    asyncio.run(run(settings))
