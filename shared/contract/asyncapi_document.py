"""The AsyncAPI document, for the topics of one installation. `python -m deploy.asyncapi` writes its file."""

import json
from pathlib import Path
from typing import Any, Final

from shared.contract.topics import Topics

DOCUMENT: Final = Path(__file__).with_name("asyncapi.json")


def asyncapi_document(topics: Topics) -> dict[str, Any]:
    """The document with the names and the numbers of partitions of these topics.

    The ids of channels stay the same everywhere; `address` is the topic.
    """
    document: dict[str, Any] = json.loads(DOCUMENT.read_text("utf-8"))
    for ours, named in zip(topics.all(), Topics().all(), strict=True):
        channel = document["channels"][named.name]
        channel["address"] = channel["bindings"]["kafka"]["topic"] = ours.name
        channel["bindings"]["kafka"]["partitions"] = ours.partitions
    for operation in document["operations"].values():
        if "bindings" in operation:
            group = operation["bindings"]["kafka"]["groupId"]
            group["const"] = topics.prefix + group["const"]
    return document
