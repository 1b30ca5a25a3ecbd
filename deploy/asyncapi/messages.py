"""The events as AsyncAPI messages: payload, headers, key and an example of each."""

import inspect
import json
from pathlib import Path
from typing import Any, Final

from pydantic.json_schema import models_json_schema

import shared.contract
from deploy.asyncapi.channels import BINDING_VERSION, DEAD_LETTER
from shared.contract.cloud_events import encode
from shared.contract.dead_letters import dead_letter
from shared.contract.events import EVENT_TYPES, Event, JobEvent

_EXAMPLES: Final = Path(shared.contract.__file__).parent / "examples"
_SCHEMAS: Final = "#/components/schemas/{model}"
_TRACEPARENT: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
#: What each header says.
_HEADERS: Final = {
    "ce_specversion": "The version of CloudEvents.",
    "ce_id": "The same however often the event is written, and of no other event.",
    "ce_type": "Which event it is: the name of its schema.",
    "ce_source": "Which service wrote it.",
    "ce_time": "When it happened, as occurred_at.",
    "ce_dataschema": "Ends with the name of the schema file. It changes when the event's version does.",
    "content-type": "How the value is written.",
    "ce_subject": "The row that it is about.",
    "traceparent": "W3C Trace Context, when the upload was traced.",
}
_SOURCES: Final = {
    **dict.fromkeys(("RowAccepted", "JobAccepted"), "ingest"),
    **dict.fromkeys(("RowCreated", "RowFailed", "RowUnprocessed", "BatchActivated"), "processor"),
    **dict.fromkeys(("BatchActivationFailed", "SendingPaused", "SendingResumed", "ProcessorReported"), "processor"),
}
_DEAD_LETTER_HEADERS: Final = {
    "reason": "Why it could not be read, in at most 500 characters.",
    "topic": "The topic that it stands on.",
    "partition": "Its partition there.",
    "offset": "Its offset there.",
    "shortened_from": "Its size in bytes, if it was too large to be copied whole.",
}


def schemas() -> dict[str, Any]:
    """The JSON Schema of every event, and of what it is made of."""
    _, generated = models_json_schema([(kind, "validation") for kind in EVENT_TYPES.values()], ref_template=_SCHEMAS)
    found: dict[str, Any] = generated["$defs"]
    return found


def messages() -> dict[str, Any]:
    """A message for each event, and the dead letter."""
    return {name: _message(name, kind) for name, kind in EVENT_TYPES.items()} | {DEAD_LETTER: _dead_letter()}


def _message(name: str, kind: type[Event]) -> dict[str, Any]:
    payload = json.loads((_EXAMPLES / f"{name}.json").read_text("utf-8"))
    record = encode(kind.model_validate(payload), _SOURCES.get(name, "status"), _TRACEPARENT)
    headers = {key: value.decode() for key, value in record.headers}
    message: dict[str, Any] = {
        "name": name,
        "title": name,
        "description": inspect.cleandoc(kind.__doc__ or ""),
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "required": [each for each in headers if each != "traceparent"],
            "properties": {each: _header(each, value) for each, value in headers.items()},
        },
        "payload": {"$ref": _SCHEMAS.format(model=name)},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "examples": [record.key.decode()]},
                "bindingVersion": BINDING_VERSION,
            }
        },
        "examples": [{"name": f"{name}Example", "headers": headers, "payload": payload}],
    }
    if issubclass(kind, JobEvent):
        message["correlationId"] = {
            "location": "$message.payload#/job_id",
            "description": "The job that it belongs to.",
        }
    return message


def _header(name: str, value: str) -> dict[str, Any]:
    fixed = name in ("ce_specversion", "ce_type", "ce_dataschema", "content-type")
    return {"type": "string", "description": _HEADERS[name]} | ({"const": value} if fixed else {"examples": [value]})


def _dead_letter() -> dict[str, Any]:
    where = ("hospital.results", 3, 4711)
    _, value, headers = dead_letter(b"5f0c9d2e", b"not JSON", [("ce_type", b"RowCreated")], where, "Invalid JSON")
    return {
        "name": DEAD_LETTER,
        "title": DEAD_LETTER,
        "description": "A record that could not be read, with the headers that it had and some of ours.",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "required": ["reason", "topic", "partition", "offset"],
            "properties": {
                name: {"type": "string", "description": words} for name, words in _DEAD_LETTER_HEADERS.items()
            },
        },
        "payload": {"description": "The value as it was received, if it had one."},
        "bindings": {
            "kafka": {"key": {"description": "As received."}, "bindingVersion": BINDING_VERSION},
        },
        "examples": [
            {
                "name": "DeadLetterExample",
                "headers": {name: text.decode() for name, text in headers},
                "payload": (value or b"").decode(),
            }
        ],
    }
