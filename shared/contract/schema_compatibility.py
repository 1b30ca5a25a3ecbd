"""Which changes to an event's JSON Schema break somebody.

The rule: records stay on the topics for ever, so the new schema must accept every record of the old one, and a field
that readers may use stays, in every record if it was in every record. Accepting more is fine (an optional field, one
more value of an enum), because readers are updated before writers.

It knows the JSON Schema that pydantic writes. A keyword that it does not know must stay as it is.
"""

from collections.abc import Iterator
from typing import Any, Final

Schema = dict[str, Any]

#: What the bounds are called, and the sign that makes "larger is stricter" true of them.
_BOUNDS: Final = {
    "minimum": 1,
    "exclusiveMinimum": 1,
    "minLength": 1,
    "minItems": 1,
    "minProperties": 1,
    "maximum": -1,
    "exclusiveMaximum": -1,
    "maxLength": -1,
    "maxItems": -1,
    "maxProperties": -1,
}
_DESCRIPTIVE: Final = {"title", "description", "default", "examples", "deprecated", "$defs", "$schema"}
_COMPARED: Final = {"type", "enum", "const", "properties", "required", "items", "additionalProperties", "anyOf"}


def incompatible_changes(old: Schema, new: Schema) -> list[str]:
    """The changes from `old` to `new` that break somebody, each a sentence that begins with the field's name."""
    return list(_Comparison(old.get("$defs", {}), new.get("$defs", {})).changes(old, new, ""))


class _Comparison:
    """Two documents, whose `$ref`s are followed on the way down."""

    def __init__(self, old_defs: Schema, new_defs: Schema) -> None:
        self._old_defs = old_defs
        self._new_defs = new_defs

    def changes(self, old: Schema, new: Schema, place: str) -> Iterator[str]:
        """What breaks between two places of the documents."""
        accepted = list(_alternatives(new, self._new_defs))
        for before in _alternatives(old, self._old_defs):
            yield from min((list(self._alternative(before, after, place)) for after in accepted), key=len)

    def _alternative(self, old: Schema, new: Schema, place: str) -> Iterator[str]:
        if changed := _type_change(old.get("type"), new.get("type")):
            yield f"{place or 'the event'}: {changed}"
            return
        for change in (*_value_changes(old, new), *_bound_changes(old, new), *_unknown_changes(old, new)):
            yield f"{place or 'the event'}: {change}"
        yield from self._field_changes(old, new, place)
        yield from self._content_changes(old, new, place)

    def _field_changes(self, old: Schema, new: Schema, place: str) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in before:
            field = _join(place, name)
            if name not in after:
                yield f"{field}: the field was removed"
            else:
                if name in old.get("required", []) and name not in new.get("required", []):
                    yield f"{field}: the field may be missing now, readers count on it"
                yield from self.changes(before[name], after[name], field)
        for name in new.get("required", []):
            if name not in old.get("required", []):
                yield f"{_join(place, name)}: the field is now required, records without it exist"

    def _content_changes(self, old: Schema, new: Schema, place: str) -> Iterator[str]:
        for keyword, inside in (("items", f"{place}[]"), ("additionalProperties", _join(place, "*"))):
            if keyword in new:
                yield from self.changes(_open(old.get(keyword)), _open(new[keyword]), inside)


def _open(content: Schema | bool | None) -> Schema:
    """`items` and `additionalProperties` as a schema: nothing said means that everything goes."""
    if content is False:
        return {"type": "never"}
    return content if isinstance(content, dict) else {}


def _alternatives(schema: Schema, defs: Schema) -> Iterator[Schema]:
    """The schemas of which a value has to meet one, with references followed."""
    if "$ref" in schema:
        yield from _alternatives(defs[schema["$ref"].rpartition("/")[2]], defs)
    elif "anyOf" in schema:
        for alternative in schema["anyOf"]:
            yield from _alternatives(alternative, defs)
    else:
        yield schema


def _type_change(old: str | None, new: str | None) -> str | None:
    if new in (None, old) or old == "never" or (old, new) == ("integer", "number"):
        return None
    if new == "never":
        return "other fields are no longer tolerated"
    return f"the type {old or 'of anything'} is no longer accepted (now {new})"


def _value_changes(old: Schema, new: Schema) -> Iterator[str]:
    before, after = _values(old), _values(new)
    if after is None:
        return
    if before is None:
        yield f"only {_listed(after)} is accepted now"
    elif gone := [value for value in before if value not in after]:
        yield f"the value {_listed(gone)} was removed"


def _values(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _listed(values: list[Any]) -> str:
    return ", ".join(repr(value) for value in values)


def _bound_changes(old: Schema, new: Schema) -> Iterator[str]:
    for keyword, sign in _BOUNDS.items():
        before, after = old.get(keyword), new.get(keyword)
        if after is not None and (before is None or sign * after > sign * before):
            yield f"{keyword} was tightened from {'no bound' if before is None else before} to {after}"


def _unknown_changes(old: Schema, new: Schema) -> Iterator[str]:
    for keyword in sorted(new.keys() - _BOUNDS.keys() - _DESCRIPTIVE - _COMPARED):
        if new[keyword] != old.get(keyword):
            yield f"{keyword} changed from {old.get(keyword)!r} to {new[keyword]!r}"


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
