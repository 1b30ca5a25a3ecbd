"""The AsyncAPI document of the topics, from what the services declare: `python -m deploy.asyncapi` writes it."""

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from faststream.kafka import KafkaBroker
from faststream.specification import AsyncAPI
from pydantic.json_schema import models_json_schema

from services.ingest import asyncapi as ingest
from services.processor import subscriptions as processor
from services.processor.settings import ProcessorSettings
from services.status import asyncapi as status
from shared.contract.events import Event
from shared.runtime.settings import KafkaSettings

DOCUMENT: Final = Path(__file__).parent.parent / "docs" / "asyncapi.json"
_COMPONENT: Final = "#/components/schemas/{model}"


def document() -> dict[str, Any]:
    """The document of the current code. It reads no environment, so that it is the same everywhere."""
    settings = KafkaSettings.model_construct()
    brokers = (
        ingest.declare(settings),
        processor.declare(ProcessorSettings.model_construct()).broker,
        status.declare(settings),
    )
    written: dict[str, Any] = json.loads(_specification(*brokers))
    _name_payloads(written["components"]["schemas"])
    return written


def _specification(first: KafkaBroker, *others: KafkaBroker) -> str:
    specification = AsyncAPI(
        first,
        *others,
        title="hospital-bulk",
        version=version("hospital-bulk"),
        description=(
            "The topics of hospital-bulk. Read them with isolation.level=read_committed. Records are CloudEvents 1.0 "
            "in Kafka's binary mode: ce_type names the event, ce_id is the same however often it is written."
        ),
    )
    return str(specification.to_specification().to_json())


def _name_payloads(schemas: dict[str, Any]) -> None:
    """Adds the payloads of the processor's subscribers, which have no handlers, from its READS."""
    kinds: list[type[Event]] = [kind for kinds in processor.READS.values() for kind in kinds]
    _, generated = models_json_schema([(kind, "validation") for kind in kinds], ref_template=_COMPONENT)
    schemas.update(generated["$defs"])
    for title, events in processor.READS.items():
        schemas[f"{title}:Message:Payload"] = {
            "title": f"{title}:Message:Payload",
            "anyOf": [{"$ref": _COMPONENT.format(model=kind.__name__)} for kind in events],
        }


def text() -> str:
    """The document as its file holds it."""
    return json.dumps(document(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> None:
    """Writes the document."""
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(text())
    sys.stdout.write(f"Wrote {DOCUMENT.name}\n")


if __name__ == "__main__":
    main()
