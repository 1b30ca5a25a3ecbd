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
from tests.simulation.kafka.cluster import BROKERS, LEADER, Cluster
from tests.simulation.kafka.server import serve
from tests.simulation.network import Address, Network
from tests.simulation.projections.checker import Counts, projection_violations
from tests.simulation.projections.others import Others
from tests.simulation.projections.replica import Replica
from tests.simulation.projections.statements import StatementServer
from tests.simulation.virtual_loop import Machine, VirtualLoop
from tests.simulation.weather import Weather
from tests.support.history import Violation

ADDRESSES = [(broker.host, broker.port) for broker in BROKERS]
TROUBLE_SECONDS = 10.0
CALM_SECONDS = 120.0
_FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None


class ProjectionWorld:
    """One simulation. `chance` decides everything."""

    def __init__(self, loop: VirtualLoop, chance: random.Random) -> None:
        self.loop, self.chance = loop, chance
        self.folder = Path(tempfile.mkdtemp(prefix="projections-", dir=_FOLDER))
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
        self.cluster = Cluster(self._later, lambda: chance.choice((0.0005, 0.005, 0.05)) * chance.random(), 0.3)
        self.brokers = serve(self.cluster, self.network, self.weather)
        for topic in self.settings.topics.all():
            self.cluster.create_topic(topic.name, topic.partitions)
        self.others = Others(self.cluster, self.settings.topics, chance, self._now)
        self.replicas: list[Replica] = []
        self.happened: Counter[str] = Counter()
        self.trace: list[tuple[float, str, str]] = []
        self.crashes: list[Violation] = []
        self.troubled = True
        self._strikes = chance.choice((0.0, 0.002, 0.01))
        self._numbers = itertools.count(1)
        self.network.on_moment = self._begin_to_strike
        self.database.on_moment = lambda: self._begin_to_strike(loop.machine, None)
        loop.on_count = self._strike

    def _make_tables(self) -> None:
        engine = create_engine(f"sqlite:///{self.folder}/status.db")
        metadata.create_all(engine)
        with engine.begin() as connection:
            connection.execute(text(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL)"))
            connection.execute(text(f"INSERT INTO {VERSION_TABLE} VALUES ('{versions.newest}')"))
            connection.execute(text("PRAGMA journal_mode=WAL"))
        engine.dispose()

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        self.network.later(self.loop.now + seconds, what)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.loop.wall_time(), UTC)

    def note(self, text: str) -> None:
        """For the trace."""
        self.trace.append((self.loop.now, self.loop.machine.name, text))

    def happens(self, what: str, about: str = "") -> None:
        """Something that the simulation does to the installation."""
        self.happened[what] += 1
        self.note(f"*** {what} {about}".rstrip())

    # ---- replicas ----------------------------------------------------------------------------------------------------

    def start_replica(self) -> None:
        """One more, if there are not many."""
        if len(self._alive()) < 4:
            machine = Machine(
                f"status-{next(self._numbers)}",
                monotonic_at=self.chance.uniform(0, 100_000),
                wall_at=1_800_000_000 + self.chance.uniform(-0.3, 0.3),
                jitter=self.chance.choice((0.0, 0.002)),
            )
            self.happens("start", machine.name)
            self.replicas.append(Replica(self.loop, machine, self.settings))

    def _alive(self) -> list[Replica]:
        return [replica for replica in self.replicas if not replica.machine.dead]

    def any_replica(self) -> Replica | None:
        """One that runs, or is frozen."""
        alive = self._alive()
        return self.chance.choice(alive) if alive else None

    def kill(self, replica: Replica) -> None:
        """As SIGKILL does. Another one starts soon."""
        if not replica.machine.dead:
            self.happens("kill", replica.machine.name)
            self.loop.kill(replica.machine)
            self.network.machine_died(replica.machine)
            self.database.machine_died(replica.machine)
            self._later(self.chance.choice((0.1, 2.0)), self.start_replica)

    def freeze(self, replica: Replica, seconds: float) -> None:
        """As SIGSTOP does, for so long."""
        machine = replica.machine
        if not (machine.frozen or machine.dead):
            self.happens("freeze", f"{machine.name} for {seconds:.2f} s")
            self.loop.freeze(machine)
            self._later(seconds, lambda: self.loop.thaw(machine))

    def _begin_to_strike(self, machine: Machine, _address: Address | None) -> None:
        """Perhaps a replica freezes or dies a few callbacks after it wrote to Kafka or to the database, or read."""
        may = self.troubled and machine is not self.loop.world
        if may and self.chance.random() < self._strikes:
            machine.count_down = self.chance.randrange(12)

    def _strike(self, machine: Machine) -> None:
        replica = next(each for each in self.replicas if each.machine is machine)
        if self.troubled and self.chance.random() < 0.6:
            self.kill(replica)
        elif self.troubled:
            self.freeze(replica, self.chance.choice((0.5, 3.0, 8.0)) * (0.5 + self.chance.random()))

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
        loop.call_at(TROUBLE_SECONDS, self._clear_up)
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

    def _clear_up(self) -> None:
        """Nothing goes wrong any more."""
        self.happens("clears up")
        self.troubled = False
        self.weather.clear_up()
        self.database.level = 0.0
        self.network.heal(slow=ADDRESSES[0])
        for broker in self.brokers:
            broker.frozen_until = 0.0
        if self.any_replica() is None:
            self.start_replica()

    def check(self, *, complete: bool) -> list[Violation]:
        """The broken promises. No replica runs any more."""
        for replica in self._alive():
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

    def what_happened(self) -> Counter[str]:
        """Everything that went wrong, or was done to it."""
        return self.happened + self.weather.faults + self.database.happened

    def digest(self) -> str:
        """What two runs of a seed have in common."""
        finished = [(event.job_id, event.round, event.outcomes_sha256) for event in self.others.finished]
        return repr((self.loop.now, self.loop.timers_set, finished, len(self.others.results)))

    def dispose(self) -> list[Any]:
        """Nothing of it ever runs again."""
        shutil.rmtree(self.folder)
        return self.replicas


def _any_replica(act: Callable[[ProjectionWorld, Replica], None]) -> Callable[[ProjectionWorld], None]:
    def trouble(world: ProjectionWorld) -> None:
        if (replica := world.any_replica()) is not None:
            act(world, replica)

    return trouble


def _cut(world: ProjectionWorld, replica: Replica) -> None:
    seconds = world.chance.choice((0.5, 3.0, 10.0)) * (0.5 + world.chance.random())
    world.happens("cut", f"{replica.machine.name} for {seconds:.2f} s")
    world.network.cut(replica.machine, world.chance.choice(ADDRESSES), seconds)


def _freeze_broker(world: ProjectionWorld) -> None:
    world.happens("broker freezes")
    broker = world.chance.choice(world.brokers)
    broker.frozen_until = max(broker.frozen_until, world.loop.now + world.chance.choice((0.5, 2.0, 6.0)))


_TROUBLES: tuple[Callable[[ProjectionWorld], None], ...] = (
    _any_replica(ProjectionWorld.kill),
    _any_replica(lambda world, replica: world.freeze(replica, world.chance.choice((0.5, 3.0, 12.0)))),
    _any_replica(_cut),
    _any_replica(lambda world, replica: world.network.break_connections(ADDRESSES[0], replica.machine)),
    _freeze_broker,
    ProjectionWorld.start_replica,
    ProjectionWorld.start_replica,
)
