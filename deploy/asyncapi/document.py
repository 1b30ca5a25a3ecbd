"""The whole document, from what the contract says of topics and events, and what the services declare."""

import json
from importlib.metadata import version
from typing import Any, Final

from deploy.asyncapi.channels import channels
from deploy.asyncapi.messages import messages, schemas
from deploy.asyncapi.operations import operations
from shared.contract.topics import Topics

_ABOUT: Final = (
    "The topics of hospital-bulk. Read them with isolation.level=read_committed. Records are CloudEvents 1.0 in "
    "Kafka's binary mode: ce_type names the event, and ce_id is the same however often it is written. "
    "An event may get more fields and a topic more types of events: pass by what you do not know."
)


def document() -> dict[str, Any]:
    """The document of the current code. It reads no environment, so that it is the same everywhere."""
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "hospital-bulk", "version": version("hospital-bulk"), "description": _ABOUT},
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "localhost:9092",
                "protocol": "kafka",
                "description": "As `make run` starts it. Elsewhere ask those who run it.",
            }
        },
        "channels": channels(Topics()),
        "operations": operations(),
        "components": {"messages": messages(), "schemas": schemas()},
    }


def text() -> str:
    """The document as its file holds it."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"
