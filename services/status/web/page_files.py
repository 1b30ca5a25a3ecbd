"""The page at `/`: static files, and the headers that keep them to themselves."""

from pathlib import Path
from typing import Final

from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import Match, Mount
from starlette.types import Scope

PAGE: Final = Path(__file__).parents[1] / "page"

HEADERS: Final = {
    # Nothing from elsewhere, nothing inline, and no text that becomes markup.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    # Asked about every time, answered with 304: after an update nobody works with half of the old page.
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class PageMount(Mount):
    """The page at `/`. It leaves what is below /api/ to the API: a wrong method is a 405 there, not a missing file."""

    def __init__(self) -> None:
        super().__init__("/", PageFiles(), name="page")

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the path is the page's."""
        return (Match.NONE, {}) if scope["path"].startswith("/api/") else super().matches(scope)


class PageFiles(StaticFiles):
    """Serves the page; everything it sends carries HEADERS."""

    def __init__(self) -> None:
        super().__init__(directory=PAGE, html=True)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, or 304. Raises HTTPException 404 and 405."""
        response = await super().get_response(path, scope)
        response.headers.update(Headers(HEADERS))
        return response
