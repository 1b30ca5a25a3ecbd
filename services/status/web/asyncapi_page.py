"""The AsyncAPI document as a page to read: plain HTML without a script, made once at start."""

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

Node = Mapping[str, Any]

_GUARANTEES = (("Key", "x-key"), ("Order", "x-ordering"), ("Kept", "x-retention"), ("Delivery", "x-delivery"))


def asyncapi_page(document: Node) -> str:
    """The page of a document of ours."""
    channels, messages = document["channels"].values(), document["components"]["messages"]
    parts = [
        f"<h1>{escape(document['info']['title'])}: the topics</h1>",
        f"<p>Version {escape(document['info']['version'])} · AsyncAPI 3: <a href='asyncapi.json'>asyncapi.json</a></p>",
        f"<p>{escape(document['info']['description'])}</p>",
        _contents(channels),
        *(_topic(name, channel, document) for name, channel in document["channels"].items()),
        "<h2>Messages</h2>",
        *(_message(message, document) for message in messages.values()),
    ]
    title = escape(f"Topics of {document['info']['title']}")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<title>{title}</title><link rel="icon" href="favicon.svg" type="image/svg+xml">'
        f'<link rel="stylesheet" href="asyncapi.css"></head><body><main>{"".join(parts)}</main></body></html>'
    )


def _contents(channels: Iterable[Node]) -> str:
    rows = (
        f"<tr><td><a href='#{escape(channel['address'])}'>{escape(channel['address'])}</a></td>"
        f"<td>{escape(channel['summary'])}</td><td>{_message_links(channel['messages'])}</td></tr>"
        for channel in channels
    )
    return _table(("Topic", "What it holds", "Messages"), rows)


def _topic(name: str, channel: Node, document: Node) -> str:
    configuration = channel["bindings"]["kafka"]["topicConfiguration"].items()
    facts = [(word, channel[key]) for word, key in _GUARANTEES]
    facts.append(("Partitions", str(channel["bindings"]["kafka"]["partitions"])))
    facts.append(("Configuration", ", ".join(f"{key}={_plain(value)}" for key, value in configuration)))
    facts += _users(name, document["operations"].values())
    listed = "".join(f"<dt>{escape(word)}</dt><dd>{escape(text)}</dd>" for word, text in facts)
    address = escape(channel["address"])
    return (
        f"<section id='{address}'><h2>{address}</h2><p>{escape(channel['title'])}: {escape(channel['summary'])}</p>"
        f"<dl>{listed}</dl><p>Messages: {_message_links(channel['messages'])}</p></section>"
    )


def _users(name: str, operations: Iterable[Node]) -> Iterable[tuple[str, str]]:
    for operation in operations:
        if operation["channel"]["$ref"] == f"#/channels/{name}":
            group = operation.get("bindings", {}).get("kafka", {}).get("groupId", {}).get("const")
            where = f", group {group}" if group else ""
            words = operation.get("description")
            verb = "Written" if operation["action"] == "send" else "Read"
            yield verb, f"{operation['summary']}{where}." + (f" {words}" if words else "")


def _message(message: Node, document: Node) -> str:
    name = escape(message["name"])
    example = message["examples"][0]
    headers = message["headers"]
    header_rows = (
        f"<tr><td><code>{escape(header)}</code></td><td>{_always(header in headers['required'])}</td>"
        f"<td>{escape(about.get('description', ''))}</td></tr>"
        for header, about in headers["properties"].items()
    )
    return (
        f"<section id='{name}'><h3>{name}</h3><p>{escape(message['description'])}</p>"
        f"{_fields(message['payload'], document)}"
        f"<details><summary>Headers</summary>{_table(('Header', 'There', 'Meaning'), header_rows)}</details>"
        f"<details open><summary>Example</summary>{_json(example['headers'])}{_json(example['payload'])}</details>"
        "</section>"
    )


def _fields(payload: Node, document: Node) -> str:
    if "$ref" not in payload:
        return f"<p>{escape(payload.get('description', ''))}</p>"
    schema = document["components"]["schemas"][payload["$ref"].rpartition("/")[2]]
    required = schema.get("required", ())
    rows = (
        f"<tr><td><code>{escape(field)}</code></td><td>{escape(_type(about))}</td>"
        f"<td>{_always(field in required)}</td></tr>"
        for field, about in schema["properties"].items()
    )
    return _table(("Field", "Type", "There"), rows)


def _type(about: Node) -> str:
    if "$ref" in about:
        return str(about["$ref"]).rpartition("/")[2]
    if "anyOf" in about:
        return " or ".join(_type(each) for each in about["anyOf"])
    if "const" in about:
        return json.dumps(about["const"])
    if about.get("type") == "array" and isinstance(about.get("items"), Mapping):
        return f"list of {_type(about['items'])}"
    return str(about.get("format") or about.get("type") or "anything")


def _always(required: bool) -> str:
    return "always" if required else "not always"


def _plain(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _message_links(messages: Iterable[str]) -> str:
    return ", ".join(f"<a href='#{escape(name)}'>{escape(name)}</a>" for name in messages)


def _json(value: object) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"


def _table(header: Iterable[str], rows: Iterable[str]) -> str:
    names = "".join(f"<th scope='col'>{escape(name)}</th>" for name in header)
    return f"<div class='wide'><table><thead><tr>{names}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
