"""An example of a consumer in Python: checks every record against its JSON Schema, and prints each new hospital.

    pip install aiokafka jsonschema
    KAFKA_BOOTSTRAP_SERVERS=localhost:9092 python consumer.py

UNTIL_END=1 stops at what is now the end, and prints what was found. A record that is not as its schema says ends with
status 1 then. docs/consuming.md says what else a consumer should do; downstream_consumer.py does it.
"""

import asyncio
import json
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from jsonschema import Draft202012Validator

SERVERS = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
PREFIX = os.environ.get("KAFKA_TOPIC_PREFIX", "")
GROUP = os.environ.get("CONSUMER_GROUP", f"{PREFIX}example-python")
SCHEMAS = Path(os.environ.get("SCHEMAS", Path(__file__).parents[3] / "shared" / "contract" / "schemas"))
TOPICS = [f"{PREFIX}hospital.{name}" for name in ("rows.express", "rows.bulk", "results", "jobs", "processors")]


@dataclass
class Found:
    """What was read so far."""

    records: int = 0
    invalid: int = 0
    #: Of a type that has no schema here: a newer version writes it.
    unknown: int = 0
    repeats: int = 0
    #: Ids that two different events had.
    clashes: int = 0


@dataclass
class Checker:
    """Checks records. `seen`: what each id stood for; a real consumer keeps ids where it keeps its work."""

    checks: dict[str, Draft202012Validator]
    found: Found = field(default_factory=Found)
    seen: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def handle(self, record: ConsumerRecord) -> str | None:
        """Takes a record. Returns a line to print when it is a new hospital, or no record of its schema."""
        headers = {name: value.decode() for name, value in record.headers}
        self.found.records += 1
        schema = headers.get("ce_dataschema", "").rpartition("/")[2] or f"{headers.get('ce_type')}.json"
        if schema not in self.checks:
            self.found.unknown += 1
            return None
        event, problem = self._read(record.value, self.checks[schema])
        if problem:
            self.found.invalid += 1
            return f"Invalid: {headers.get('ce_type')} {headers.get('ce_id')}: {problem}"
        meaning = (headers["ce_type"], event.get("job_id"), event.get("row"), event.get("round"))
        known = self.seen.setdefault(headers["ce_id"], meaning)
        if known is not meaning:
            self.found.repeats += known == meaning
            self.found.clashes += known != meaning
            return None
        created = headers["ce_type"] == "RowCreated"
        return f"Created: {event['name']} is hospital {event['hospital_id']}" if created else None

    def _read(self, value: bytes | None, check: Draft202012Validator) -> tuple[dict[str, Any], str | None]:
        try:
            event = json.loads(value or b"")
        except ValueError:
            return {}, "no JSON"
        return event, next((error.message for error in check.iter_errors(event)), None)


def checker() -> Checker:
    """With every schema of the folder."""
    texts = {path.name: json.loads(path.read_text("utf-8")) for path in SCHEMAS.glob("*.json")}
    return Checker({name: Draft202012Validator(schema) for name, schema in texts.items()})


async def consume(checker: Checker, until_end: bool) -> None:
    """Reads the topics, from the first record when the group is new."""
    consumer = AIOKafkaConsumer(
        *TOPICS,
        bootstrap_servers=SERVERS,
        group_id=GROUP,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=1_100_000,
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment()) if until_end else {}
        while not ends or not await _passed(consumer, ends):
            batches = await consumer.getmany(timeout_ms=500, max_records=1_000)
            for record in (record for records in batches.values() for record in records):
                if line := checker.handle(record):
                    print(line, flush=True)
            if batches:
                await consumer.commit()
    finally:
        await consumer.stop()


async def _passed(consumer: AIOKafkaConsumer, ends: dict[Any, int]) -> bool:
    return all([await consumer.position(partition) >= end for partition, end in ends.items()])


def main() -> None:
    """Runs until Ctrl-C, or to what is now the end."""
    until_end, checking = bool(os.environ.get("UNTIL_END")), checker()
    asyncio.run(consume(checking, until_end))
    if until_end:
        print(json.dumps(asdict(checking.found)))
        sys.exit(1 if checking.found.invalid or checking.found.clashes else 0)


if __name__ == "__main__":
    main()
