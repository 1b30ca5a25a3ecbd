"""The plan of a seed: what it decides before anything happens."""

import random
from dataclasses import replace

from services.processor.settings import ProcessorSettings
from tests.simulation.kafka.cluster import LEADER
from tests.simulation.processors import directory
from tests.simulation.processors.directory import Character
from tests.simulation.processors.scenarios import Scenario
from tests.simulation.processors.world import Plan


def make_plan(scenario: Scenario, chance: random.Random) -> Plan:
    """The plan of a seed that is about this."""
    return replace(scenario.change(chance, _some_plan(chance)), scenario=scenario.name)


def _some_plan(chance: random.Random) -> Plan:
    timeout, lease = chance.choice((0.5, 1.0, 2.0)), chance.choice((1.0, 2.0, 4.0))
    settle = chance.choice((0.5, 2.0, 6.0))
    session = chance.choice((1_000, 3_000, 6_000))
    if chance.random() < 0.3:  # any freeze is longer than all of them together
        timeout, lease, settle, session = 0.5, 1.0, 0.5, 1_000
    settings = ProcessorSettings(
        kafka_bootstrap_servers=f"{LEADER.host}:{LEADER.port}",
        kafka_topic_partitions=chance.choice((1, 2, 3)),
        hospital_api_base_url=directory.URL,
        hospital_api_timeout=timeout,
        hospital_api_settle_seconds=settle,
        lease_seconds=lease,
        session_timeout_ms=session,
        hospital_api_max_connections=chance.choice((1, 2, 4, 8)),
        rate_limit_requests=chance.choice((0, 0, 0, 20)),
        retry_max_attempts=chance.choice((1, 2, 3)),
        retry_min_wait=0.1,
        retry_max_wait=chance.choice((0.2, 1.0)),
        circuit_breaker_failure_threshold=chance.choice((2, 5)),
        circuit_breaker_recovery_timeout=chance.choice((0.3, 2.0)),
        window_rows=chance.choice((10, 20, 10_000)),
        commit_interval_ms=chance.choice((50, 100, 300)),
    )
    return Plan(
        settings=settings,
        processors=chance.choice((1, 2, 2, 3, 3, 4)),
        character=Character(
            settle=settle,
            conflicts=chance.random() < 0.25,
            unknown_is_404=chance.random() < 0.5,
            refolds=chance.random() < 0.2,
            latency=chance.choice((0.01, 0.1, 0.4)),
        ),
        kafka=chance.choice((0.0, 0.02, 0.1, 0.3)),
        directory=chance.choice((0.0, 0.1, 0.3, 0.8)),
        trouble_seconds=chance.choice((5.0, 10.0, 20.0)),
        jitter=chance.choice((0.0, 0.002, 0.02)),
        drift=chance.choice((0.0, 0.0001, 0.003)),
        slow_network=chance.choice((0.0, 0.005, 0.05)),
        forgets=chance.random() < 0.04,
        strikes=chance.choice((0.0, 0.02, 0.06)),
    )


def short(plan: Plan) -> Plan:
    """A plan for runs that have little time."""
    settle = min(plan.settings.hospital_api_settle_seconds, 2.0)
    times = {
        "lease_seconds": min(plan.settings.lease_seconds, 2.0),
        "hospital_api_settle_seconds": settle,
        "session_timeout_ms": min(plan.settings.session_timeout_ms, 3_000),
    }
    return replace(
        plan,
        settings=plan.settings.model_copy(update=times),
        character=replace(plan.character, settle=settle),
        trouble_seconds=3.0,
        processors=min(plan.processors, 2),
        rows=tuple(min(rows, 10) for rows in plan.rows),
        jobs=tuple(min(jobs, 2) for jobs in plan.jobs),
        troubles=tuple(min(troubles, 6) for troubles in plan.troubles),
    )
