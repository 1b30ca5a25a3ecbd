"""What other teams read of the topics: `/asyncapi.json` for programs, `/asyncapi` for people."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, JSONResponse

from services.status.web.asyncapi_page import asyncapi_page
from services.status.web.page_files import HEADERS
from shared.contract.asyncapi_document import asyncapi_document
from shared.contract.topics import Topics


def asyncapi_routes(topics: Topics) -> APIRouter:
    """Both, for this installation's topics. They hold nothing of any tenant, so everybody may read them."""
    router = APIRouter(include_in_schema=False)
    document = asyncapi_document(topics)
    page = asyncapi_page(document)

    @router.get("/asyncapi.json")
    async def asyncapi_json() -> JSONResponse:
        return JSONResponse(document, headers={"Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"})

    @router.get("/asyncapi")
    async def asyncapi_html() -> HTMLResponse:
        return HTMLResponse(page, headers=HEADERS)

    return router
