"""Reads from the broker's log whether it is ready, or why it ended."""

import re
from pathlib import Path

_READY = "Kafka Server started"
_PORT_TAKEN = "Address already in use"
_EXCEPTION = re.compile(r"^(?:Caused by: )?([\w.$]+(?:Exception|Error)): (.+)$", re.MULTILINE)
_ERROR = re.compile(r"^.*\b(?:ERROR|FATAL)\b (.+)$", re.MULTILINE)


def is_ready(log: Path) -> bool:
    """Whether the broker that writes this log takes requests."""
    return _READY in _text(log)


def port_was_taken(log: Path) -> bool:
    """Whether it ended because one of its ports was not free."""
    return _PORT_TAKEN in _text(log)


def failure_reason(log: Path) -> str:
    """Why it ended, in one line: the deepest exception, else the last error, else the last line."""
    text = _text(log)
    if exceptions := _EXCEPTION.findall(text):
        kind, message = exceptions[-1]
        return f"{kind.rpartition('.')[2]}: {message}"
    if errors := _ERROR.findall(text):
        return str(errors[-1])
    return text.strip().rpartition("\n")[2] or "it said nothing"


def _text(log: Path) -> str:
    return log.read_text(errors="replace") if log.exists() else ""
