"""Replicas of ingest that share a database, their clients, and a Kafka: one simulation by its seed."""

import asyncio
import itertools
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, select

from services.ingest.keys.tables import metadata, reservations
from services.ingest.settings import IngestSettings
from shared.contract.events import JobAccepted, RowAccepted
from tests.simulation.kafka.cluster import BROKERS, LEADER, Cluster
from tests.simulation.kafka.server import serve
from tests.simulation.network import Address, Network
from tests.simulation.records import CommittedReader, OpenTransaction
from tests.simulation.threads import DatabaseServer
from tests.simulation.uploads.checker import UploadHistory, upload_violations
from tests.simulation.uploads.clients import Client
from tests.simulation.uploads.replica import Replica, write_file
from tests.simulation.virtual_loop import Machine, VirtualLoop
from tests.simulation.weather import Weather
from tests.support.history import Violation

ADDRESSES = [(broker.host, broker.port) for broker in BROKERS]
TROUBLE_SECONDS = 8.0
#: After the trouble: leases end, and two sweeps follow.
CALM_SECONDS = 60.0
_FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None


class UploadWorld:
    """One simulation. `chance` decides everything."""

    def __init__(self, loop: VirtualLoop, chance: random.Random) -> None:
        self.loop, self.chance = loop, chance
        self.folder = Path(tempfile.mkdtemp(prefix="uploads-", dir=_FOLDER))
        self.settings = IngestSettings(
            kafka_bootstrap_servers=f"{LEADER.host}:{LEADER.port}",
            kafka_topic_partitions=chance.choice((1, 1, 3)),
            ingest_database_url=f"sqlite:///{self.folder}/ingest.db",
            idempotency_ttl_seconds=100_000,
        )
        engine = create_engine(f"sqlite:///{self.folder}/ingest.db")
        metadata.create_all(engine)
        engine.dispose()
        self.network = Network(loop)
        levels = {"kafka": chance.choice((0.0, 0.1, 0.4, 0.8)), "directory": 0.0}
        self.weather = Weather(chance, lambda: loop.now, timeout=1.0, **levels)
        self.database = DatabaseServer(loop, chance.choice((0.0, 0.1, 0.3)))
        self.cluster = Cluster(self._later, lambda: chance.choice((0.0005, 0.005, 0.05)) * chance.random())
        self.brokers = serve(self.cluster, self.network, self.weather)
        for topic in self.settings.topics.all():
            self.cluster.create_topic(topic.name, topic.partitions)
        self.replicas: list[Replica] = []
        self.clients: list[Client] = []
        self.happened: Counter[str] = Counter()
        self.trace: list[tuple[float, str, str]] = []
        self.crashes: list[Violation] = []
        self.troubled = True
        self._strikes = chance.choice((0.0, 0.02, 0.1))
        self._jitter = chance.choice((0.0, 0.002, 0.02))
        self._numbers = itertools.count(1)
        self.network.on_moment = self._begin_to_strike
        self.database.on_moment = lambda: self._begin_to_strike(loop.machine, None)
        loop.on_count = self._strike

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        self.network.later(self.loop.now + seconds, what)

    def note(self, text: str) -> None:
        """For the trace."""
        self.trace.append((self.loop.now, self.loop.machine.name, text))

    def happens(self, what: str, about: str = "") -> None:
        """Something that the simulation does to the installation."""
        self.happened[what] += 1
        self.note(f"*** {what} {about}".rstrip())

    # ---- replicas ----------------------------------------------------------------------------------------------------

    def start_replica(self) -> None:
        """One more."""
        chance = self.chance
        machine = Machine(
            f"ingest-{next(self._numbers)}",
            rate=1 + chance.choice((0.0, 0.001)) * chance.uniform(-1, 1),
            monotonic_at=chance.uniform(0, 100_000),
            wall_at=1_800_000_000 + chance.uniform(-0.3, 0.3),
            jitter=self._jitter,
        )
        self.happens("start", machine.name)
        self.replicas.append(Replica(self.loop, machine, self.settings))

    def any_replica(self) -> Replica | None:
        """One that runs, or is frozen."""
        alive = [replica for replica in self.replicas if not replica.machine.dead]
        return self.chance.choice(alive) if alive else None

    def kill(self, replica: Replica) -> None:
        """As SIGKILL does. Another one starts soon."""
        if not replica.machine.dead:
            self.happens("kill", replica.machine.name)
            self.loop.kill(replica.machine)
            self.network.machine_died(replica.machine)
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
            self.freeze(replica, self.chance.choice((1.0, 5.0, 20.0)) * (0.5 + self.chance.random()))

    # ---- the run -----------------------------------------------------------------------------------------------------

    async def live(self) -> bool:
        """The trouble, and then the calm. Returns whether everything ended."""
        chance, loop = self.chance, self.loop
        for _ in range(chance.choice((1, 2, 3))):
            self.start_replica()
        uploading = [self._upload(client) for client in self._make_clients()]
        for _ in range(chance.choice((0, 3, 8))):
            loop.call_at(chance.random() * TROUBLE_SECONDS, chance.choice(_TROUBLES), self)
        loop.call_at(TROUBLE_SECONDS, self._clear_up)
        await asyncio.sleep(TROUBLE_SECONDS)
        done, open_ = await asyncio.wait(uploading, timeout=CALM_SECONDS)
        await asyncio.sleep(CALM_SECONDS)  # for the sweeps
        for client in done:
            client.result()  # a mistake of ours
        return not open_

    def _make_clients(self) -> list[Client]:
        chance = self.chance
        for number in range(chance.choice((1, 2, 4))):
            file = write_file(self.folder, f"file-{number}.csv", chance.choice((1, 3, 40)))
            others = write_file(self.folder, f"other-{number}.csv", 2)
            for _ in range(chance.choice((1, 1, 2, 3))):
                chosen = others if chance.random() < 0.1 else file
                self.clients.append(Client(f"key-{number}", chosen, patient=chance.random() < 0.7))
        return self.clients

    def _upload(self, client: Client) -> "asyncio.Task[None]":
        async def upload() -> None:
            await asyncio.sleep(self.chance.random() * TROUBLE_SECONDS * 0.8)
            await client.upload(self)

        return self.loop.create_task(upload())

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
        """The broken promises."""
        topics = self.settings.topics
        events = [
            event
            for topic in (topics.jobs, topics.rows_express, topics.rows_bulk)
            for event in CommittedReader(self.cluster, topic).read()
        ]
        jobs = [event for event in events if isinstance(event, JobAccepted)]
        rows = [event for event in events if isinstance(event, RowAccepted)]
        return upload_violations(UploadHistory(self.clients, jobs, rows, self._in_progress()))

    def _in_progress(self) -> list[str]:
        engine = create_engine(f"sqlite:///{self.folder}/ingest.db")
        with engine.begin() as connection:
            query = select(reservations.c.job_id).where(reservations.c.expires_at.is_(None))
            found = list(connection.execute(query).scalars())
        engine.dispose()
        return found

    @property
    def rows(self) -> int:
        """How many rows there were."""
        return sum(client.file.size // 40 for client in self.clients)

    def what_happened(self) -> Counter[str]:
        """Everything that went wrong, or was done to it."""
        return self.happened + self.weather.faults + self.database.happened

    def digest(self) -> str:
        """What two runs of a seed have in common."""
        answers = [(client.key, client.asked, client.refused, client.answers) for client in self.clients]
        return repr((self.loop.now, self.loop.timers_set, answers))

    def dispose(self) -> list[Any]:
        """Nothing of it ever runs again."""
        for replica in self.replicas:
            self.loop.kill(replica.machine)
            replica.dispose()
        shutil.rmtree(self.folder)
        return self.replicas


def _any_replica(act: Callable[[UploadWorld, Replica], None]) -> Callable[[UploadWorld], None]:
    def trouble(world: UploadWorld) -> None:
        if (replica := world.any_replica()) is not None:
            act(world, replica)

    return trouble


def _cut(world: UploadWorld, replica: Replica) -> None:
    seconds = world.chance.choice((0.5, 3.0, 8.0)) * (0.5 + world.chance.random())
    world.happens("cut", f"{replica.machine.name} for {seconds:.2f} s")
    world.network.cut(replica.machine, world.chance.choice(ADDRESSES), seconds)


def _freeze_broker(world: UploadWorld) -> None:
    broker = world.chance.choice(world.brokers)
    world.happens("broker freezes")
    broker.frozen_until = max(broker.frozen_until, world.loop.now + world.chance.choice((0.5, 2.0, 6.0)))


def _others_transaction(world: UploadWorld) -> None:
    """Another service's transaction stays open on the topic of jobs: it hides what comes behind it."""
    world.happens("open transaction")
    transaction = OpenTransaction(world.cluster)
    transaction.write([(world.settings.topics.jobs, JobAccepted.model_validate(_EXAMPLE))])
    world.loop.call_later(world.chance.choice((1.0, 8.0)), lambda: transaction.end(commit=False))


_EXAMPLE = {
    "tenant": "public",
    "job_id": "another",
    "file_name": "a.csv",
    "file_sha256": "0" * 64,
    "total_hospitals": 1,
    "batch_ids": ("b",),
    "columns": ("name",),
}
_TROUBLES: tuple[Callable[[UploadWorld], None], ...] = (
    _any_replica(UploadWorld.kill),
    _any_replica(lambda world, replica: world.freeze(replica, world.chance.choice((0.5, 3.0, 17.0)))),
    _any_replica(_cut),
    _any_replica(lambda world, replica: world.network.break_connections(ADDRESSES[0], replica.machine)),
    _freeze_broker,
    *[_others_transaction] * 3,
    UploadWorld.start_replica,
)
