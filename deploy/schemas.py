"""`python -m deploy.schemas register URL`: registers the events' JSON Schemas in a schema registry.

URL is where the registry speaks Confluent's API: of Confluent's own its address, of Apicurio that with the path
`/apis/ccompat/v7`. A name and a password may stand in it (`https://user:password@registry.example`).
Each event is a subject, `hospital-bulk.<event>`. A schema that is there already stays, so the command may be repeated.
"""

import argparse
import base64
import json
import sys
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import Request, urlopen

from shared.contract.schema_files import committed

SUBJECT: Final = "hospital-bulk.{event}"
_MEDIA_TYPE: Final = "application/vnd.schemaregistry.v1+json"
_SECONDS: Final = 10.0

Document = dict[str, Any]


class RegistryUnusable(RuntimeError):
    """The registry cannot be reached, or is none: nothing more is tried."""


class SchemaRefused(RuntimeError):
    """The registry refuses this schema: the message has its words."""


class SchemaRegistry:
    """A registry with Confluent's HTTP API. Raises ValueError for an address that is none."""

    def __init__(self, url: str, seconds: float = _SECONDS) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            shown = url.rpartition("@")[2]  # a password may stand before it
            raise ValueError(f"{shown!r} is no address of a registry: it begins with http:// or https://")
        host = parts.netloc.rpartition("@")[2]
        self._url = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        self._headers = {"Content-Type": _MEDIA_TYPE, "Accept": f"{_MEDIA_TYPE}, application/json"}
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
        self._seconds = seconds

    def find(self, subject: str, schema: Document) -> int | None:
        """The id of a schema that is registered under the subject already; None when it is not."""
        status, answer = self._post(f"/subjects/{quote(subject, safe='')}", schema)
        if status == HTTPStatus.NOT_FOUND:
            return None
        return self._id(status, answer)

    def register(self, subject: str, schema: Document) -> int:
        """Registers a schema, and returns its id. Raises SchemaRefused and RegistryUnusable."""
        return self._id(*self._post(f"/subjects/{quote(subject, safe='')}/versions", schema))

    def _id(self, status: int, answer: Document) -> int:
        if status in (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY):
            raise SchemaRefused(_one_line(answer.get("message", "it does not say why")))
        if status != HTTPStatus.OK or not isinstance(answer.get("id"), int):
            words = _one_line(answer.get("message", "")) or "it does not look like a schema registry"
            raise RegistryUnusable(f"{self._url} answers {status}: {words}")
        found: int = answer["id"]
        return found

    def _post(self, path: str, schema: Document) -> tuple[int, Document]:
        body = json.dumps({"schemaType": "JSON", "schema": json.dumps(schema, sort_keys=True)}).encode()
        request = Request(self._url + path, body, self._headers, method="POST")  # noqa: S310 - http or https
        try:
            with urlopen(request, timeout=self._seconds) as answer:  # noqa: S310
                return answer.status, _document(answer.read())
        except HTTPError as error:
            with error:
                return error.code, _document(error.read())
        except (URLError, OSError) as error:
            reason = getattr(error, "reason", error)
            raise RegistryUnusable(f"{self._url} cannot be reached: {_one_line(reason)}") from error


def register_all(registry: SchemaRegistry, schemas: Mapping[str, Document], say: Callable[[str], None]) -> int:
    """Registers each schema under its event's subject, and says a line for each. Returns how many were refused.

    Raises RegistryUnusable: the rest was not tried.
    """
    refused = 0
    for event, schema in schemas.items():
        subject = SUBJECT.format(event=event)
        try:
            if (known := registry.find(subject, schema)) is not None:
                say(f"{subject}: there already, id {known}")
            else:
                say(f"{subject}: registered, id {registry.register(subject, schema)}")
        except SchemaRefused as refusal:
            refused += 1
            say(f"{subject}: refused: {refusal}")
    return refused


def _document(body: bytes) -> Document:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _one_line(words: object) -> str:
    return " ".join(str(words).split())[:500]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main() -> None:
    """Does what the command line says. Exit status 1: a schema was refused, or the registry cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m deploy.schemas", description="The events' JSON Schemas.")
    register = parser.add_subparsers(dest="command", required=True).add_parser(
        "register", help="register them in a schema registry with Confluent's API (Apicurio: /apis/ccompat/v7)"
    )
    register.add_argument("url", help="the registry's address")
    try:
        registry = SchemaRegistry(parser.parse_args().url)
        refused = register_all(registry, committed(), _say)
    except (ValueError, RegistryUnusable) as error:
        sys.exit(f"Not registered: {error}")
    if refused:
        sys.exit(f"{refused} of {len(committed())} schemas were refused")


if __name__ == "__main__":
    main()
