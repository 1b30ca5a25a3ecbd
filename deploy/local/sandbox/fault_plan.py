"""What becomes of one call, decided from the call, the faults and chance alone: no I/O, no clock."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from math import ceil
from typing import Literal

from deploy.local.sandbox.faults import Faults, NameRule

Kind = Literal["create", "look_up", "activate", "other"]
Draw = Callable[[], float]
"""The next number of chance, 0 ≤ n < 1."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to /hospitals. ``limit_wait``: seconds until the rate limit lets it in; None when it does now."""

    kind: Kind
    name: str = ""
    authorization: str | None = None
    limit_wait: float | None = None

    def waiting(self, limit_wait: float | None) -> "Call":
        return replace(self, limit_wait=limit_wait)


class Effect(Enum):
    """When the directory does what it was asked to do."""

    NOW = "now"
    NEVER = "never"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class Answered:
    """The caller gets the true answer."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The caller gets this status, whatever was done."""

    status: int
    detail: str
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """The connection is closed without an answer."""


@dataclass(frozen=True, slots=True)
class Silent:
    """The connection stays open and nothing ever comes."""


Ending = Answered | Refused | Dropped | Silent


@dataclass(frozen=True, slots=True)
class Plan:
    """Wait ``delay`` seconds, do or do not, then end. ``effect_delay`` (s) belongs to a late effect."""

    effect: Effect = Effect.NOW
    ending: Ending = Answered()
    delay: float = 0.0
    effect_delay: float = 0.0


PLAIN = Plan()
ERROR = Refused(500, "Internal Server Error")


def decide(call: Call, faults: Faults, draw: Draw) -> Plan:
    """The door first (outage, token, limit, 429), at once; then, after the latency, what this kind of call suffers."""
    refusal = _at_the_door(call, faults, draw)
    if refusal is not None:
        return Plan(Effect.NEVER, refusal)
    rule = _rule_for(call, faults)
    delay = (faults.latency_ms + (rule.latency_ms if rule else 0)) / 1000
    if faults.jitter_ms:
        delay += draw() * faults.jitter_ms / 1000
    if rule and rule.status:
        return Plan(Effect.NEVER, Refused(rule.status, f"Names with {rule.contains!r} are refused here"), delay)
    effect, ending = _fate(call, faults, draw)
    return Plan(effect, ending, delay, faults.late_ms / 1000 if effect is Effect.LATE else 0.0)


def _at_the_door(call: Call, faults: Faults, draw: Draw) -> Ending | None:
    if faults.outage == "dropped":
        return Dropped()
    if faults.outage == "unavailable":
        return Refused(503, "Service Unavailable", faults.retry_after_seconds)
    if faults.token is not None and call.authorization != f"Bearer {faults.token}":
        return Refused(401, "Not authenticated: send `Authorization: Bearer <token>`")
    if call.limit_wait is not None:
        return Refused(429, "Too Many Requests", max(1, ceil(call.limit_wait)))
    if faults.too_many and draw() < faults.too_many:
        return Refused(429, "Too Many Requests", faults.retry_after_seconds)
    return None


def _rule_for(call: Call, faults: Faults) -> NameRule | None:
    if call.kind != "create":
        return None
    return next((rule for rule in faults.name_rules if rule.contains in call.name), None)


def _fate(call: Call, faults: Faults, draw: Draw) -> tuple[Effect, Ending]:
    fates = _fates(call.kind, faults)
    if not any(chance for chance, _, _ in fates):
        return Effect.NOW, Answered()
    thrown = draw()
    for chance, effect, ending in fates:
        if thrown < chance:
            return effect, ending
        thrown -= chance
    return Effect.NOW, Answered()


def _fates(kind: Kind, faults: Faults) -> list[tuple[float, Effect, Ending]]:
    if kind == "create":
        return [
            (faults.error_before, Effect.NEVER, ERROR),
            (faults.error_after, Effect.NOW, ERROR),
            (faults.hang_before, Effect.NEVER, Silent()),
            (faults.hang_after, Effect.NOW, Silent()),
            (faults.lose_answer, Effect.NOW, Dropped()),
            (faults.late, Effect.LATE, Dropped()),
        ]
    if kind == "look_up":
        return [(faults.lookup_errors, Effect.NEVER, ERROR), (faults.lookup_hangs, Effect.NEVER, Silent())]
    if kind == "activate":
        return [(faults.activation_errors, Effect.NEVER, ERROR)]
    return []
