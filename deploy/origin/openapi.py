"""Merges the OpenAPI documents of the services: each gives the paths that the origin forwards to it."""

from collections.abc import Iterator
from typing import Any, Final

from deploy.origin.routes import service_for

Document = dict[str, Any]

OPENAPI: Final = "3.1.0"
METHODS: Final = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
#: Every service has these paths; the origin answers and documents them itself.
OPERATIONS: Final = frozenset({"/health", "/health/ready", "/metrics"})


def merge(services: dict[str, Document], own: Document) -> Document:
    """One document from each service's and the origin's own, whose title and operations it keeps.

    When two documents define a component differently, the second gets its service's name in front of its own. So does
    an operationId that two documents use.
    """
    merged: Document = {"openapi": OPENAPI, "info": own["info"], "paths": {}, "components": {}, "tags": []}
    _add(merged, "origin", own, own["paths"])
    for service, document in services.items():
        renamed = _with_new_names(document, _clashes(merged, document, service))
        _add(merged, service, renamed, _routed_to(service, renamed))
    return merged


def _routed_to(service: str, document: Document) -> Document:
    paths = document.get("paths", {})
    return {path: item for path, item in paths.items() if path not in OPERATIONS and service_for(path) == service}


def _add(merged: Document, service: str, document: Document, paths: Document) -> None:
    taken = {operation.get("operationId") for operation in _operations(merged["paths"])}
    for operation in _operations(paths):
        if "operationId" in operation and operation["operationId"] in taken:
            operation["operationId"] = f"{service}_{operation['operationId']}"
    merged["paths"].update(paths)
    for kind, components in document.get("components", {}).items():
        merged["components"].setdefault(kind, {}).update(components)
    known = {tag["name"] for tag in merged["tags"]}
    merged["tags"] += [tag for tag in document.get("tags", []) if tag["name"] not in known]


def _operations(paths: Document) -> Iterator[Document]:
    for item in paths.values():
        yield from (operation for method, operation in item.items() if method in METHODS)


def _clashes(merged: Document, document: Document, service: str) -> dict[str, str]:
    """Old reference -> new reference, for every component that the merged document defines differently.

    A component that refers to a renamed one differs by that: repeat until nothing new is found.
    """
    renames: dict[str, str] = {}
    while True:
        found = {
            f"#/components/{kind}/{name}": f"#/components/{kind}/{service.capitalize()}{name}"
            for kind, components in document.get("components", {}).items()
            for name, component in components.items()
            if name in merged["components"].get(kind, {})
            and merged["components"][kind][name] != _with_references(component, renames)
        }
        if found == renames:
            return renames
        renames = found


def _with_new_names(document: Document, renames: dict[str, str]) -> Document:
    renamed: Document = _with_references(document, renames)
    for old, new in renames.items():
        *_, kind, name = old.split("/")
        components = renamed["components"][kind]
        components[new.rsplit("/", 1)[1]] = components.pop(name)
    return renamed


def _with_references(node: Any, renames: dict[str, str]) -> Any:
    """A copy in which every reference, also those of a discriminator's mapping, has its new name."""
    if isinstance(node, dict):
        return {key: _with_references(value, renames) for key, value in node.items()}
    if isinstance(node, list):
        return [_with_references(value, renames) for value in node]
    return renames.get(node, node) if isinstance(node, str) else node
