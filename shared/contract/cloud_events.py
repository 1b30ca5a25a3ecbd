"""Events as Kafka records: JSON values with CloudEvents 1.0 headers in Kafka's binary mode.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError

from shared.contract.events import EVENT_TYPES, Event

Header = tuple[str, bytes]
Headers = list[Header]


@dataclass(frozen=True, slots=True)
class EventRecord:
    """What a producer sends: `producer.send(topic, **record.fields())`."""

    key: bytes
    value: bytes
    headers: Headers

    def fields(self) -> dict[str, object]:
        """The keyword arguments of aiokafka's `send`."""
        return {"key": self.key, "value": self.value, "headers": self.headers}


class UndecodableEvent(ValueError):
    """The record can never be read: give it to the dead letters, with this reason."""


class UnknownEventType(UndecodableEvent):
    """A newer version of the system wrote it: a reader that does not need it skips it."""


def encode(event: Event, source: str, traceparent: str | None = None) -> EventRecord:
    """The record of an event. `source` is the service, such as `ingest`."""
    headers: Headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event.event_id.encode()),
        ("ce_type", type(event).__name__.encode()),
        ("ce_source", f"/hospital-bulk/{source}".encode()),
        ("ce_time", event.occurred_at.isoformat().encode()),
        ("ce_dataschema", data_schema(type(event)).encode()),
        ("content-type", b"application/json"),
    ]
    if event.subject is not None:
        headers.append(("ce_subject", event.subject.encode()))
    if traceparent:
        headers.append(("traceparent", traceparent.encode()))
    return EventRecord(event.key.encode(), event.model_dump_json().encode(), headers)


def data_schema(kind: type[Event]) -> str:
    """The name of an event's JSON Schema, as a URI. It changes when the event's `version` does."""
    return f"urn:hospital-bulk:schemas:v{kind.model_fields['version'].default}/{kind.__name__}.json"


def header(headers: Iterable[tuple[str, bytes | None]], name: str) -> str | None:
    """The value of a header, None when it is missing or is not UTF-8."""
    for key, value in headers:
        if key == name and value is not None:
            try:
                return value.decode()
            except UnicodeDecodeError:
                return None
    return None


def decode(headers: Iterable[tuple[str, bytes | None]], value: bytes | None) -> Event:
    """The event in a record.

    Raises UnknownEventType when `ce_type` is missing or names no event that this version knows,
    and UndecodableEvent when the value is not that event.
    """
    name = header(headers, "ce_type")
    kind = EVENT_TYPES.get(name or "")
    if kind is None:
        raise UnknownEventType(f"ce_type {name!r} is not an event that this version knows")
    if value is None:
        raise UndecodableEvent(f"{name} without a value")
    try:
        return kind.model_validate_json(value)
    except ValidationError as error:
        raise UndecodableEvent(f"{name}: {_reason(error)}") from error


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else str(first["msg"])
