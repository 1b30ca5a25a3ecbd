"""The AsyncAPI document is generated from what the contract says and the services declare."""

import gzip
import json
from pathlib import Path

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from deploy.asyncapi.document import document, text
from deploy.origin.routes import service_for
from shared.contract.asyncapi_document import DOCUMENT, asyncapi_document
from shared.contract.cloud_events import decode
from shared.contract.events import EVENT_TYPES
from shared.contract.topics import Topics

ROOT = Path(__file__).parents[2]
#: AsyncAPI's own schema of its documents, from the package @asyncapi/specs 6.11.1 (Apache License 2.0).
SPECIFICATION = Path(__file__).with_name("asyncapi-3.0.0.json.gz")


@pytest.fixture(scope="module")
def whole():
    return document()


def test_the_document_is_the_one_that_the_code_declares():
    """Whoever changes a subscription or an event writes it again."""
    assert DOCUMENT.read_text("utf-8") == text(), "run: python -m deploy.asyncapi"
    assert (ROOT / "docs" / "asyncapi.json").read_text("utf-8") == text()


def test_the_document_is_one_of_asyncapi_3(whole):
    """By AsyncAPI's own schema, with the bindings of Kafka."""
    errors = list(Draft7Validator(json.loads(gzip.decompress(SPECIFICATION.read_bytes()))).iter_errors(whole))
    assert errors == []
    broken = whole | {"operations": {"Odd": {"action": "shout", "channel": {"$ref": "#/channels/none"}}}}
    assert list(Draft7Validator(json.loads(gzip.decompress(SPECIFICATION.read_bytes()))).iter_errors(broken))


def test_every_topic_is_there_once_with_its_guarantees(whole):
    """Nobody has to read our code to find a topic, or to know what it promises."""
    channels = whole["channels"].values()
    assert [channel["address"] for channel in channels] == [topic.name for topic in Topics().all()]
    for channel in channels:
        assert all(channel[name] for name in ("x-key", "x-ordering", "x-retention", "x-delivery"))
    kafka = whole["channels"]["hospital.results"]["bindings"]["kafka"]
    assert kafka["topicConfiguration"]["retention.ms"] == -1
    assert whole["channels"]["hospital.processors"]["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"] == [
        "compact"
    ]


def test_every_event_is_on_a_topic(whole):
    """And nothing but events and dead letters."""
    named = {name for channel in whole["channels"].values() for name in channel["messages"]}
    assert named == set(EVENT_TYPES) | {"DeadLetter"}
    assert set(whole["components"]["messages"]) == named


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_an_example_is_a_record_that_its_schema_takes(whole, name):
    """Headers and value, as a consumer gets them."""
    [example] = whole["components"]["messages"][name]["examples"]
    headers = [(key, text.encode()) for key, text in example["headers"].items()]
    event = decode(headers, json.dumps(example["payload"]).encode())
    about = whole["components"]["messages"][name]
    assert about["bindings"]["kafka"]["key"]["examples"] == [event.key]
    Draft202012Validator(about["headers"]).validate(example["headers"])
    Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": whole["components"]}).validate(
        example["payload"]
    )


@pytest.mark.parametrize(
    ("title", "action", "events"),
    [
        ("ProcessorRows.hospital.rows.express", "receive", ["RowAccepted"]),
        ("ProcessorActivationRequests", "receive", ["JobFinished", "BatchActivationRequested"]),
        ("ProcessorResults", "send", ["RowCreated", "RowFailed", "RowUnprocessed"]),
        ("StatusDeadLetters", "send", ["DeadLetter"]),
        ("IngestJobs", "send", ["JobAccepted"]),
    ],
)
def test_who_reads_and_writes_what_is_as_the_services_declare_it(whole, title, action, events):
    """Each subscriber and publisher under its own title."""
    operation = whole["operations"][title]
    assert operation["action"] == action
    assert [message["$ref"].rpartition("/")[2] for message in operation["messages"]] == events
    for message in operation["messages"]:
        channel = operation["channel"]["$ref"].removeprefix("#/channels/")
        assert message["$ref"].rpartition("/")[2] in whole["channels"][channel]["messages"]


def test_every_message_of_a_topic_is_written_by_somebody(whole):
    """A topic's messages are those that its writers declare."""
    for name, channel in whole["channels"].items():
        written = {
            message["$ref"].rpartition("/")[2]
            for operation in whole["operations"].values()
            if operation["action"] == "send" and operation["channel"]["$ref"] == f"#/channels/{name}"
            for message in operation["messages"]
        }
        assert written == set(channel["messages"]), name


def test_every_reference_leads_somewhere(whole):
    """A generator of clients does not stumble."""

    def references(node: object) -> set[str]:
        if isinstance(node, dict):
            found = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
            return found.union(*(references(value) for value in node.values()))
        return set().union(*(references(item) for item in node)) if isinstance(node, list) else set()

    for reference in references(whole):
        place: object = whole
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_an_installation_sees_its_own_topics_and_groups():
    """With its prefix and its number of partitions."""
    ours = asyncapi_document(Topics("north.", 12))
    results = ours["channels"]["hospital.results"]
    assert results["address"] == results["bindings"]["kafka"]["topic"] == "north.hospital.results"
    assert results["bindings"]["kafka"]["partitions"] == 12
    group = ours["operations"]["StatusResults"]["bindings"]["kafka"]["groupId"]["const"]
    assert group == Topics("north.").group("status")


@pytest.mark.parametrize("path", ["/asyncapi", "/asyncapi.json", "/asyncapi.css"])
def test_the_origin_has_it_from_status(path):
    """As everything that is not an upload."""
    assert service_for(path) == "status"
