"""The JSON Schemas in `schemas/`, made from the events: `python -m shared.contract.schema_files` writes them.

It refuses a change that breaks somebody unless the event's `version` went up with it, or it is announced by name.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from shared.contract.events import EVENT_TYPES, Event
from shared.contract.schema_compatibility import incompatible_changes

DIRECTORY: Final = Path(__file__).parent / "schemas"
COMMAND: Final = "python -m shared.contract.schema_files"

#: Changes that break readers on purpose, each as `breaking_changes` names it. The changelog tells of them, and
#: "Upgrades" in docs/architecture/operating.md says what has to be updated before what.
ANNOUNCED: Final = frozenset(
    # 0.2.0: `cells` in place of the names of all columns in every record. Older records keep `columns`, and are read.
    f"{event}.columns: the field may be missing now, readers count on it"
    for event in ("RowAccepted", "RowCreated", "RowFailed", "RowUnprocessed")
)

Schema = dict[str, Any]


class IncompatibleEvents(RuntimeError):
    """Nothing was written: the message names every change that breaks somebody, and says what to do."""


def schema(kind: type[Event]) -> Schema:
    """The JSON Schema (2020-12) that every record of this event meets."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **kind.model_json_schema()}


def text(content: Schema) -> str:
    """A schema as its file holds it: always the same for the same event."""
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def committed(directory: Path = DIRECTORY) -> dict[str, Schema]:
    """The schemas on disk by event name."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(directory.glob("*.json"))}


def breaking_changes(old: Mapping[str, Schema], events: Mapping[str, type[Event]] = EVENT_TYPES) -> list[str]:
    """What changed since the schemas in `old` that breaks somebody, and that nobody has announced."""
    found = [f"{name}: the event was removed, its records stay on the topics" for name in old if name not in events]
    for name in old.keys() & events.keys():
        new = schema(events[name])
        if _version(new) <= _version(old[name]):
            found += [f"{name}.{change}" for change in incompatible_changes(old[name], new)]
    return sorted(set(found) - ANNOUNCED)


def write(directory: Path = DIRECTORY, events: Mapping[str, type[Event]] = EVENT_TYPES) -> list[str]:
    """Writes the schemas that differ and returns their events' names.

    Raises IncompatibleEvents, and writes nothing, when a change breaks somebody.
    """
    old = committed(directory)
    if broken := breaking_changes(old, events):
        raise IncompatibleEvents("\n".join([*broken, ADVICE]))
    changed = [name for name, kind in events.items() if old.get(name) != schema(kind)]
    for name in changed:
        (directory / f"{name}.json").write_text(text(schema(events[name])), "utf-8")
    return changed


ADVICE: Final = (
    "Records stay on the topics for ever and other teams read them: add an optional field beside the old one, "
    "or give the event a higher `version` and keep reading the old."
)


def _version(content: Schema) -> int:
    return int(content["properties"]["version"]["const"])


def main() -> None:
    """Writes the schemas; exits with 1 and the reasons when a change breaks somebody."""
    try:
        changed = write()
    except IncompatibleEvents as refusal:
        sys.exit(f"Nothing was written.\n{refusal}")
    sys.stdout.write(f"Written: {', '.join(changed) or 'nothing, all schemas are up to date'}\n")


if __name__ == "__main__":
    main()
