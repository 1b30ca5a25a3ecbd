"""Who reads and who writes which topic, as the services declare it with FastStream."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from faststream.kafka import KafkaBroker
from faststream.specification import AsyncAPI

from deploy.asyncapi.channels import BINDING_VERSION, DEAD_LETTER
from services.ingest import asyncapi as ingest
from services.processor import subscriptions as processor
from services.processor.settings import ProcessorSettings
from services.status import asyncapi as status
from shared.contract.events import EVENT_TYPES
from shared.contract.topics import Topics
from shared.runtime.settings import KafkaSettings

_ACTIONS = {"receive": "reads", "send": "writes"}


@dataclass(frozen=True, slots=True)
class Operation:
    """One subscriber or publisher on one topic. `group`: its consumer group, None when it has none."""

    title: str
    action: str
    topic: str
    description: str
    group: str | None
    messages: tuple[str, ...]

    def written(self, service: str) -> dict[str, Any]:
        """As AsyncAPI has it."""
        channel = f"#/channels/{self.topic}"
        found: dict[str, Any] = {
            "action": self.action,
            "title": self.title,
            "summary": f"{service} {_ACTIONS[self.action]} {', '.join(self.messages)}",
            "channel": {"$ref": channel},
            "messages": [{"$ref": f"{channel}/messages/{name}"} for name in self.messages],
        }
        if self.description:
            found["description"] = self.description
        if self.group:
            group = {"type": "string", "const": self.group}
            found["bindings"] = {"kafka": {"groupId": group, "bindingVersion": BINDING_VERSION}}
        return found


def operations() -> dict[str, Any]:
    """Every operation of every service, by its title; with the topic where a title stands for several."""
    settings = KafkaSettings.model_construct()
    brokers = {
        "ingest": ingest.declare(settings),
        "processor": processor.declare(ProcessorSettings.model_construct()).broker,
        "status": status.declare(settings),
    }
    found: dict[str, Any] = {}
    for service, broker in brokers.items():
        declared = list(_declared(broker))
        titles = [each.title for each in declared]
        for each in declared:
            alone = titles.count(each.title) == 1
            found[each.title if alone else f"{each.title}.{each.topic}"] = each.written(service)
    return dict(sorted(found.items()))  # FastStream keeps them in no order


def _declared(broker: KafkaBroker) -> Iterator[Operation]:
    document: dict[str, Any] = AsyncAPI(broker, title="-").to_specification().to_jsonable()
    groups = {each.specification.config.title_: getattr(each, "group_id", None) for each in broker.subscribers}
    for operation in document["operations"].values():
        name = operation["channel"]["$ref"].removeprefix("#/channels/").replace("~1", "/").replace("%20", " ")
        channel = document["channels"][name]
        title = name.partition(":")[0]
        yield Operation(
            title,
            operation["action"],
            channel["address"],
            channel.get("description") or "",
            groups.get(title) if operation["action"] == "receive" else None,
            _events(title, channel, document),
        )


def _events(title: str, channel: dict[str, Any], document: dict[str, Any]) -> tuple[str, ...]:
    """Which events the declared payload stands for. A subscriber without a handler says it in READS."""
    if title in processor.READS:
        return tuple(kind.__name__ for kind in processor.READS[title])
    if channel["address"] == Topics().dead_letters:
        return (DEAD_LETTER,)
    found = set().union(*(_named(message, document) for message in channel["messages"].values()))
    return tuple(name for name in EVENT_TYPES if name in found)


def _named(node: Any, document: dict[str, Any]) -> set[str]:
    """The events that are referred to, not looking into events themselves."""
    if isinstance(node, list):
        return set().union(*(_named(each, document) for each in node))
    if not isinstance(node, dict):
        return set()
    found = set().union(*(_named(value, document) for key, value in node.items() if key != "$ref"))
    reference = node.get("$ref")
    if isinstance(reference, str):
        name = reference.rpartition("/")[2]
        return found | ({name} if name in EVENT_TYPES else _named(_at(reference, document), document))
    return found


def _at(reference: str, document: dict[str, Any]) -> Any:
    place: Any = document
    for step in reference.removeprefix("#/").split("/"):
        place = place[step.replace("~1", "/").replace("%20", " ")]
    return place
