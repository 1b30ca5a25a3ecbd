"""The AsyncAPI document is generated from what the services declare."""

import pytest

from deploy.asyncapi import DOCUMENT, document, text
from shared.contract.topics import Topics


def test_the_document_is_the_one_that_the_code_declares():
    """Whoever changes a subscription or an event writes it again."""
    assert DOCUMENT.read_text() == text(), "run: python -m deploy.asyncapi"


def test_every_topic_is_documented():
    """Nobody has to read our code to find a topic."""
    addresses = {channel["address"] for channel in document()["channels"].values()}
    assert addresses == {topic.name for topic in Topics().all()}


@pytest.mark.parametrize(
    ("title", "events"),
    [
        ("ProcessorRows", {"RowAccepted"}),
        ("ProcessorActivationRequests", {"JobFinished", "BatchActivationRequested"}),
        ("ProcessorResults", {"RowCreated", "RowFailed", "RowUnprocessed"}),
    ],
)
def test_payloads_are_the_shared_events(title, events):
    """Payloads refer to the events' schemas, also where a subscriber has no handler."""
    schemas = document()["components"]["schemas"]
    named = {choice["$ref"].rpartition("/")[2] for choice in schemas[f"{title}:Message:Payload"]["anyOf"]}
    assert named == events
    assert all("properties" in schemas[event] for event in events)


def test_every_reference_leads_somewhere():
    """A generator of clients does not stumble."""
    whole = document()

    def references(node: object) -> set[str]:
        if isinstance(node, dict):
            found = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
            return found.union(*(references(value) for value in node.values()))
        return set().union(*(references(item) for item in node)) if isinstance(node, list) else set()

    for reference in references(whole):
        place: object = whole
        for step in reference.removeprefix("#/").split("/"):
            place = place[step.replace("%20", " ").replace("~1", "/")]
