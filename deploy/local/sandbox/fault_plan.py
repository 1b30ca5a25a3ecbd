"""Decides which faults one call gets, from the call, the faults that are on and a random number. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from math import ceil
from typing import Literal

from deploy.local.sandbox.faults import Faults, NameRule

Kind = Literal["create", "look_up", "activate", "other"]
Draw = Callable[[], float]
"""Returns the next random number, 0 ≤ n < 1."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to /hospitals. ``limit_wait``: seconds until the rate limit admits it; None when it does now."""

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
    """The caller gets the directory's answer."""


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
class FaultPlan:
    """Wait ``delay`` seconds, do the ``effect`` (a late one after ``effect_delay`` s), then the ``ending``."""

    effect: Effect = Effect.NOW
    ending: Ending = Answered()
    delay: float = 0.0
    effect_delay: float = 0.0


WITHOUT_FAULTS = FaultPlan()
ERROR = Refused(500, "Internal Server Error")


def decide(call: Call, faults: Faults, draw: Draw) -> FaultPlan:
    """The plan for a call. Outage, token, rate limit and 429 refuse it at once; other faults come after the latency."""
    refusal = _refusal(call, faults, draw)
    if refusal is not None:
        return FaultPlan(Effect.NEVER, refusal)
    rule = _rule_for(call, faults)
    delay = (faults.latency_ms + (rule.latency_ms if rule else 0)) / 1000
    if faults.jitter_ms:
        delay += draw() * faults.jitter_ms / 1000
    if rule and rule.status:
        return FaultPlan(Effect.NEVER, Refused(rule.status, f"Names with {rule.contains!r} are refused here"), delay)
    effect, ending = _drawn_fault(call, faults, draw)
    return FaultPlan(effect, ending, delay, faults.late_ms / 1000 if effect is Effect.LATE else 0.0)


def _refusal(call: Call, faults: Faults, draw: Draw) -> Ending | None:
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


def _drawn_fault(call: Call, faults: Faults, draw: Draw) -> tuple[Effect, Ending]:
    outcomes = _possible_faults(call.kind, faults)
    if not any(probability for probability, _, _ in outcomes):
        return Effect.NOW, Answered()
    number = draw()
    for probability, effect, ending in outcomes:
        if number < probability:
            return effect, ending
        number -= probability
    return Effect.NOW, Answered()


def _possible_faults(kind: Kind, faults: Faults) -> list[tuple[float, Effect, Ending]]:
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
