"""What kinds of trouble a seed may be about: some of everything, or much of what one of the rules is for.

A seed decides its scenario before anything else. Random trouble alone meets a rule's coincidence once in thousands of
seeds: a freeze between a choice and its first byte, a coordinator that one processor alone has lost.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from services.processor.settings import ProcessorSettings
from tests.simulation.processors.world import Plan

#: Any freeze is longer than all of them together.
QUICK: Final = {
    "hospital_api_timeout": 0.5,
    "hospital_api_settle_seconds": 0.5,
    "lease_seconds": 1.0,
    "session_timeout_ms": 1_000,
    "retry_max_wait": 0.2,
    "circuit_breaker_failure_threshold": 5,
    "circuit_breaker_recovery_timeout": 0.3,
    "rate_limit_requests": 0,
}


@dataclass(frozen=True)
class Scenario:
    """A kind of trouble. `weight`: how often it is chosen. `change`: the plan of a seed, for it."""

    name: str
    weight: int
    change: Callable[[random.Random, Plan], Plan]


class SmallMemory(ProcessorSettings):
    """A processor whose windows may hold little."""

    @property
    def window_bytes(self) -> int:
        return 400_000


def _with(plan: Plan, settings: dict[str, Any], **fields: Any) -> Plan:
    """A plan with other settings, and a directory that keeps to their settle time."""
    changed = plan.settings.model_copy(update=settings)
    character = replace(plan.character, settle=changed.hospital_api_settle_seconds)
    return replace(plan, settings=changed, character=character, forgets=False, **fields)


def _anything(_chance: random.Random, plan: Plan) -> Plan:
    return plan


def _freezes(chance: random.Random, plan: Plan) -> Plan:
    """Processors freeze between two steps, for longer than any time-out, while others take their lanes over."""
    settings = QUICK | {"hospital_api_max_connections": chance.choice((1, 2, 4))}
    return _with(
        plan,
        settings,
        processors=chance.choice((2, 3)),
        kafka=0.0,
        directory=0.0,
        trouble_seconds=15.0,
        strikes=chance.choice((0.1, 0.3)),
        kafka_strikes=chance.choice((0.01, 0.1, 0.3)),
        deaths=0.0,
        freezes=(4.0, 7.0, 12.0),
        troubles=(0,),
        rows=(30,),
    )


def _late(chance: random.Random, plan: Plan) -> Plan:
    """The directory creates at the last moment; processors are killed right after they have sent."""
    settings = QUICK | {"hospital_api_settle_seconds": chance.choice((2.0, 6.0)), "hospital_api_timeout": 1.0}
    return _with(
        plan,
        settings,
        processors=2,
        kafka=0.0,
        directory=0.8,
        trouble_seconds=10.0,
        strikes=chance.choice((0.0, 0.1, 0.3)),
        deaths=1.0,
        troubles=(0,),
        lateness=chance.choice((2, 10)),
        rows=(10, 30),
    )


def _slow_ways(chance: random.Random, plan: Plan) -> Plan:
    """Connections to the directory take nearly as long as a call may, and its network is away now and then."""
    settings = QUICK | {"hospital_api_timeout": 2.0, "hospital_api_settle_seconds": chance.choice((0.5, 1.0))}
    return _with(
        plan,
        settings,
        processors=chance.choice((1, 2)),
        kafka=0.0,
        directory=0.8,
        trouble_seconds=15.0,
        strikes=0.0,
        directory_way=chance.choice((0.0, 0.8, 1.5)),
        troubles=(5, 10),
        kinds=("cut from the directory", "break"),
        lateness=10,
        rows=(10, 30),
    )


def _isolated(chance: random.Random, plan: Plan) -> Plan:
    """A processor loses Kafka and keeps the directory, while its lease lasts longer than the others wait for it."""
    settings = QUICK | {
        "lease_seconds": chance.choice((2.0, 4.0, 6.0)),
        "hospital_api_timeout": 1.0,
        "hospital_api_max_connections": chance.choice((1, 2)),
    }
    plan = replace(plan, character=replace(plan.character, latency=chance.choice((0.4, 0.9))))
    return _with(
        plan,
        settings,
        processors=2,
        kafka=0.0,
        directory=chance.choice((0.0, 0.2)),
        trouble_seconds=12.0,
        strikes=0.0,
        troubles=(3, 6),
        kinds=("isolate", "freeze", "kill"),
        rows=(30,),
    )


def _hand_overs(chance: random.Random, plan: Plan) -> Plan:
    """Lanes change their owners all the time, also before these have read anything."""
    settings = QUICK | {
        "hospital_api_settle_seconds": chance.choice((0.5, 4.0)),
        "window_rows": chance.choice((10, 20)),
    }
    plan = replace(plan, character=replace(plan.character, latency=0.4))
    return _with(
        plan,
        settings,
        processors=chance.choice((2, 3)),
        kafka=chance.choice((0.0, 0.05)),
        directory=0.3,
        trouble_seconds=12.0,
        strikes=chance.choice((0.0, 0.1)),
        deaths=1.0,
        slow_network=chance.choice((0.005, 0.1, 0.3)),
        troubles=(10, 20, 30),
        kinds=("kill", "stop", "stop", "start", "aborted"),
        lateness=5,
        rows=(30,),
    )


def _commits(chance: random.Random, plan: Plan) -> Plan:
    """Requests of transactions are lost, late or sent again; processors die between two of them."""
    settings = QUICK | {"session_timeout_ms": chance.choice((1_000, 6_000)), "commit_interval_ms": 50}
    return _with(
        plan,
        settings,
        processors=chance.choice((1, 2)),
        kafka=chance.choice((0.1, 0.3, 0.6)),
        directory=0.1,
        trouble_seconds=20.0,
        strikes=chance.choice((0.0, 0.1, 0.3)),
        kafka_strikes=chance.choice((0.1, 0.5)),
        deaths=0.8,
        troubles=(2, 6),
        kinds=("broker freezes", "broker away", "freeze", "cut", "stop", "start"),
        rows=(10, 30),
        jobs=(3, 6),
    )


def _half_cut(chance: random.Random, plan: Plan) -> Plan:
    """One processor loses the coordinator of the group, for long, and nothing else."""
    settings = QUICK | {"lease_seconds": chance.choice((1.0, 2.0))}
    return _with(
        plan,
        settings,
        processors=chance.choice((2, 3)),
        kafka=0.0,
        directory=0.1,
        trouble_seconds=6.0,
        strikes=0.0,
        troubles=(0, 2),
        kinds=("stop", "start", "freeze"),
        transactions_apart=True,
        lasting="half cut",
        rows=(10, 30),
        jobs=(3,),
    )


def _sick(chance: random.Random, plan: Plan) -> Plan:
    """Some batches, or some rows, cannot be served: they must not keep the healthy ones waiting."""
    settings = QUICK | {
        "hospital_api_max_connections": chance.choice((1, 2, 4)),
        "circuit_breaker_failure_threshold": 2,
        "circuit_breaker_recovery_timeout": 1.0,
        "retry_max_attempts": 12,
        "retry_max_wait": 1.0,
        "window_rows": 10_000,
    }
    plan = replace(plan, character=replace(plan.character, latency=0.05))
    return _with(
        plan,
        settings,
        processors=1,
        kafka=0.0,
        directory=0.0,
        trouble_seconds=4.0,
        strikes=0.0,
        troubles=(0,),
        lasting=chance.choice(("sick batches", "stubborn rows")),
        rows=(10,),
        jobs=(2,),
    )


def _wide(chance: random.Random, plan: Plan) -> Plan:
    """Rows with much text, and little memory."""
    settings = QUICK | {"hospital_api_max_connections": 1, "window_rows": 10_000}
    plan = replace(plan, character=replace(plan.character, latency=0.3))
    plan = _with(
        plan,
        settings,
        processors=chance.choice((1, 2)),
        directory=0.1,
        trouble_seconds=5.0,
        strikes=0.0,
        troubles=(0, 2),
        rows=(60,),
        cell_bytes=8_000,
    )
    return replace(plan, settings=SmallMemory(**plan.settings.model_dump()))


def _forgotten(_chance: random.Random, plan: Plan) -> Plan:
    """Kafka forgets the group's offsets."""
    return replace(plan, forgets=True, trouble_seconds=5.0)


def _rewrites(chance: random.Random, plan: Plan) -> Plan:
    """The directory writes hospitals in its own words, so that no look-up proves anything. All calls arrive."""
    plan = replace(plan, character=replace(plan.character, rewrites=True, latency=0.05, refused=10))
    return _with(
        plan,
        QUICK,
        processors=1,
        kafka=0.0,
        directory=0.0,
        trouble_seconds=5.0,
        strikes=0.0,
        troubles=(0, 2),
        kinds=("cancel", "pause"),
        rows=(10, 30),
    )


SCENARIOS: Final = (
    Scenario("anything", 8, _anything),
    Scenario("freezes", 3, _freezes),
    Scenario("late", 3, _late),
    Scenario("slow ways", 2, _slow_ways),
    Scenario("isolated", 2, _isolated),
    Scenario("hand-overs", 3, _hand_overs),
    Scenario("commits", 3, _commits),
    Scenario("half cut", 1, _half_cut),
    Scenario("sick", 2, _sick),
    Scenario("wide", 1, _wide),
    Scenario("forgotten", 1, _forgotten),
    Scenario("rewrites", 1, _rewrites),
)
