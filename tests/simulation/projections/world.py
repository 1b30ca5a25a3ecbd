"""Replicas of status that share a database, and a Kafka: one simulation by its seed."""

import asyncio
import itertools
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, select, text

from services.status.settings import StatusSettings
from services.status.tables.definitions import jobs, metadata
from services.status.tables.schema_version import VERSION_TABLE, versions
from tests.simulation.kafka.cluster import LEADER, Cluster
from tests.simulation.kafka.server import serve
from tests.simulation.network import Network
from tests.simulation.projections.checker import Counts, projection_violations
from tests.simulation.projections.others import Others
from tests.simulation.projections.replica import Replica
from tests.simulation.projections.statements import StatementServer
from tests.simulation.replicas import ADDRESSES, FOLDER, ReplicatedWorld, any_replica
from tests.simulation.virtual_loop import Machine, VirtualLoop
from tests.simulation.weather import Weather
from tests.support.history import Violation

TROUBLE_SECONDS = 10.0
CALM_SECONDS = 120.0


class ProjectionWorld(ReplicatedWorld):
    """One simulation. `chance` decides everything."""

    struck_seconds = (0.5, 3.0, 8.0)
    cut_seconds = (0.5, 3.0, 10.0)

    def __init__(self, loop: VirtualLoop, chance: random.Random) -> None:
        self.loop, self.chance = loop, chance
        self.folder = Path(tempfile.mkdtemp(prefix="projections-", dir=FOLDER))
        self.settings = StatusSettings(
            kafka_bootstrap_servers=f"{LEADER.host}:{LEADER.port}",
            kafka_topic_partitions=chance.choice((1, 2, 3)),
            status_database_url=f"sqlite:///{self.folder}/status.db",
        )
        self._make_tables()
        self.network = Network(loop)
        levels = {"kafka": chance.choice((0.0, 0.05, 0.2)), "directory": 0.0}
        self.weather = Weather(chance, lambda: loop.now, timeout=1.0, **levels)
        self.database = StatementServer(loop, chance.choice((0.0, 0.002, 0.02)))
        self.cluster = Cluster(self.later, lambda: chance.choice((0.0005, 0.005, 0.05)) * chance.random(), 0.3)
        self.brokers = serve(self.cluster, self.network, self.weather)
        for topic in self.settings.topics.all():
            self.cluster.create_topic(topic.name, topic.partitions)
        self.others = Others(self.cluster, self.settings.topics, chance, self._now)
        self.replicas: list[Replica] = []
        self.happened: Counter[str] = Counter()
        self.trace: list[tuple[float, str, str]] = []
        self.crashes: list[Violation] = []
        self.troubled = True
        self.strikes = chance.choice((0.0, 0.002, 0.01))
        self._numbers = itertools.count(1)
        self.network.on_moment = self.begin_to_strike
        self.database.on_moment = lambda: self.begin_to_strike(loop.machine, None)
        loop.on_count = self.strike

    def _make_tables(self) -> None:
        engine = create_engine(f"sqlite:///{self.folder}/status.db")
        metadata.create_all(engine)
        with engine.begin() as connection:
            connection.execute(text(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL)"))
            connection.execute(text(f"INSERT INTO {VERSION_TABLE} VALUES ('{versions.newest}')"))
            connection.execute(text("PRAGMA journal_mode=WAL"))
        engine.dispose()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.loop.wall_time(), UTC)

    # ---- replicas ----------------------------------------------------------------------------------------------------

    def start_replica(self) -> None:
        """One more, if there are not many."""
        if len(self.alive()) < 4:
            machine = Machine(
                f"status-{next(self._numbers)}",
                monotonic_at=self.chance.uniform(0, 100_000),
                wall_at=1_800_000_000 + self.chance.uniform(-0.3, 0.3),
                jitter=self.chance.choice((0.0, 0.002)),
            )
            self.happens("start", machine.name)
            self.replicas.append(Replica(self.loop, machine, self.settings))

    def machine_died(self, machine: Machine) -> None:
        """Its locks go too."""
        super().machine_died(machine)
        self.database.machine_died(machine)

    # ---- the run -----------------------------------------------------------------------------------------------------

    async def live(self) -> bool:
        """The trouble, and then the calm. Returns whether everything ended."""
        with self.database.in_place():
            return await self._live()

    async def _live(self) -> bool:
        chance, loop, others = self.chance, self.loop, self.others
        for _ in range(chance.choice((1, 2, 3))):
            self.start_replica()
        for _ in range(chance.choice((1, 2, 4))):
            loop.call_at(chance.random() * TROUBLE_SECONDS * 0.6, others.submit)
        for _ in range(chance.choice((0, 2, 5, 10))):
            loop.call_at(chance.random() * TROUBLE_SECONDS, chance.choice(_TROUBLES), self)
        loop.call_at(TROUBLE_SECONDS, self.clear_up)
        while loop.now < TROUBLE_SECONDS + CALM_SECONDS:
            await asyncio.sleep(chance.choice((0.05, 0.3)))
            others.work()
            others.ask()
            if others.ended and loop.now > TROUBLE_SECONDS:
                await asyncio.sleep(15.0)  # the last JobFinished is read back, by whoever has the partition
                others.work()
                others.ask()
                if others.ended:
                    return True
        return False

    def check(self, *, complete: bool) -> list[Violation]:
        """The broken promises. No replica runs any more."""
        for replica in self.alive():
            self.loop.kill(replica.machine)
            self.database.machine_died(replica.machine)
        unended = [] if complete else [Violation("it does not end", f"after {self.loop.now:.0f} s", ())]
        return [*projection_violations(self.others, self._tables(), complete=complete), *unended]

    def _tables(self) -> dict[str, Counts]:
        # A copy: whoever was killed in a transaction still has its locks in this process.
        for part in ("", "-wal"):
            if (written := self.folder / f"status.db{part}").exists():
                shutil.copy(written, self.folder / f"copy.db{part}")
        engine = create_engine(f"sqlite:///{self.folder}/copy.db")
        with engine.begin() as connection:
            columns = (jobs.c.created_hospitals, jobs.c.failed_hospitals, jobs.c.unprocessed_hospitals)
            found = {
                row[0]: (row[1], row[2], row[3], row[4])
                for row in connection.execute(select(jobs.c.job_id, *columns, jobs.c.finished_round))
            }
        engine.dispose()
        return found

    @property
    def rows(self) -> int:
        """How many rows there were, each round by itself."""
        return len(self.others.accepted)

    def digest(self) -> str:
        """What two runs of a seed have in common."""
        finished = [(event.job_id, event.round, event.outcomes_sha256) for event in self.others.finished]
        return repr((self.loop.now, self.loop.timers_set, finished, len(self.others.results)))

    def dispose(self) -> list[Any]:
        """Nothing of it ever runs again."""
        shutil.rmtree(self.folder)
        return self.replicas


_TROUBLES: tuple[Callable[[ProjectionWorld], None], ...] = (
    any_replica(ProjectionWorld.kill),
    any_replica(lambda world, replica: world.freeze(replica, world.chance.choice((0.5, 3.0, 12.0)))),
    any_replica(ProjectionWorld.cut),
    any_replica(lambda world, replica: world.network.break_connections(ADDRESSES[0], replica.machine)),
    ProjectionWorld.freeze_broker,
    ProjectionWorld.start_replica,
    ProjectionWorld.start_replica,
)
