"""Parses the body of a POST or PUT; its problems have the shape of a FastAPI 422."""

import json
from dataclasses import dataclass
from typing import Any

from deploy.local.sandbox.hospitals import HospitalBody

MAX_CHARS = 1_000


@dataclass(frozen=True, slots=True)
class InvalidBody:
    """``problems`` is the ``detail`` of a FastAPI 422: ``[{type, loc, msg, input}]``."""

    problems: list[dict[str, Any]]


def parse_body(body: bytes) -> HospitalBody | InvalidBody:
    """``name`` and ``address`` may not be missing or blank; ``phone`` and ``creation_batch_id`` may be."""
    try:
        fields = json.loads(body)
    except ValueError as error:
        return InvalidBody([_problem("json_invalid", ["body"], f"JSON decode error: {error}", None)])
    if not isinstance(fields, dict):
        return InvalidBody([_problem("model_attributes_type", ["body"], "Input should be a valid dictionary", fields)])
    problems = [
        *_required(fields, "name"),
        *_required(fields, "address"),
        *_optional(fields, "phone"),
        *_optional(fields, "creation_batch_id"),
    ]
    if problems:
        return InvalidBody(problems)
    return HospitalBody(fields["name"], fields["address"], fields.get("phone"), fields.get("creation_batch_id"))


def _required(fields: dict[str, Any], field: str) -> list[dict[str, Any]]:
    if field not in fields:
        return [_problem("missing", ["body", field], "Field required", fields)]
    value = fields[field]
    if isinstance(value, str) and not value.strip():
        return [_problem("string_too_short", ["body", field], "String should have at least 1 character", value)]
    return _text(field, value)


def _optional(fields: dict[str, Any], field: str) -> list[dict[str, Any]]:
    value = fields.get(field)
    return [] if value is None else _text(field, value)


def _text(field: str, value: object) -> list[dict[str, Any]]:
    if not isinstance(value, str):
        return [_problem("string_type", ["body", field], "Input should be a valid string", value)]
    if len(value) > MAX_CHARS:
        message = f"String should have at most {MAX_CHARS} characters"
        return [_problem("string_too_long", ["body", field], message, value)]
    return []


def _problem(kind: str, loc: list[str], message: str, value: object) -> dict[str, Any]:
    return {"type": kind, "loc": loc, "msg": message, "input": value}
