"""The topics' document as other teams find it: for programs and for people."""

from html.parser import HTMLParser

import httpx
import pytest
from fastapi import FastAPI

from services.status.web.asyncapi_page import asyncapi_page
from services.status.web.asyncapi_routes import asyncapi_routes
from services.status.web.page_files import PAGE
from shared.contract.asyncapi_document import asyncapi_document
from shared.contract.events import EVENT_TYPES
from shared.contract.topics import Topics

TOPICS = Topics("north.", 12)
VOID = {"meta", "link", "br", "img"}


@pytest.fixture
async def http():
    app = FastAPI()
    app.include_router(asyncapi_routes(TOPICS))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://status") as http:
        yield http


class Page(HTMLParser):
    """The elements of a page; fails when one is not closed where it has to be."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.tags, self.text = [], set(), [], set(), []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.add(tag)
        self.ids |= {found["id"]} if "id" in found else set()
        self.links += [found[name] for name in ("href", "src") if name in found]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


async def test_programs_read_the_document_of_this_installation(http):
    """No key is needed: it says nothing of any tenant."""
    answer = await http.get("/asyncapi.json")
    assert answer.json() == asyncapi_document(TOPICS)
    assert answer.headers["Content-Type"] == "application/json"


async def test_people_read_all_of_it_on_one_page(http):
    """Each topic and each message has a place that can be linked to."""
    answer = await http.get("/asyncapi")
    page = Page(answer.text)
    assert page.ids == {topic.name for topic in TOPICS.all()} | set(EVENT_TYPES) | {"DeadLetter"}
    assert {link.removeprefix("#") for link in page.links if link.startswith("#")} == page.ids
    words = " ".join(page.text)
    assert all(field in words for kind in EVENT_TYPES.values() for field in kind.model_fields)


async def test_the_page_needs_nothing_from_elsewhere(http):
    """Hospitals' networks let nothing else through; and the policy of the page forbids it."""
    answer = await http.get("/asyncapi")
    page = Page(answer.text)
    assert not page.tags & {"script", "style", "iframe"}
    files = {link for link in page.links if not link.startswith("#")}
    assert files == {"asyncapi.json", "asyncapi.css", "favicon.svg"}
    assert all((PAGE / name).exists() for name in files - {"asyncapi.json"})
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_what_an_example_says_is_never_markup():
    """Names of columns and messages may hold anything."""
    document = asyncapi_document(TOPICS)
    document["components"]["messages"]["RowCreated"]["examples"][0]["payload"]["name"] = "<script>alert(1)</script>"
    assert "script" not in Page(asyncapi_page(document)).tags
