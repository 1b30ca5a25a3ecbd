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
from tests.simulation.kafka.cluster import LEADER, Cluster
from tests.simulation.kafka.server import serve
from tests.simulation.network import Network
from tests.simulation.records import CommittedReader, OpenTransaction
from tests.simulation.replicas import ADDRESSES, FOLDER, ReplicatedWorld, any_replica
from tests.simulation.threads import DatabaseServer
from tests.simulation.uploads.checker import UploadHistory, upload_violations
from tests.simulation.uploads.clients import Client
from tests.simulation.uploads.replica import Replica, write_file
from tests.simulation.virtual_loop import Machine, VirtualLoop
from tests.simulation.weather import Weather
from tests.support.history import Violation

TROUBLE_SECONDS = 8.0
#: After the trouble: leases end, and two sweeps follow.
CALM_SECONDS = 60.0


class UploadWorld(ReplicatedWorld):
    """One simulation. `chance` decides everything."""

    struck_seconds = (1.0, 5.0, 20.0)
    cut_seconds = (0.5, 3.0, 8.0)

    def __init__(self, loop: VirtualLoop, chance: random.Random) -> None:
        self.loop, self.chance = loop, chance
        self.folder = Path(tempfile.mkdtemp(prefix="uploads-", dir=FOLDER))
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
        self.cluster = Cluster(self.later, lambda: chance.choice((0.0005, 0.005, 0.05)) * chance.random())
        self.brokers = serve(self.cluster, self.network, self.weather)
        for topic in self.settings.topics.all():
            self.cluster.create_topic(topic.name, topic.partitions)
        self.replicas: list[Replica] = []
        self.clients: list[Client] = []
        self.happened: Counter[str] = Counter()
        self.trace: list[tuple[float, str, str]] = []
        self.crashes: list[Violation] = []
        self.troubled = True
        self.strikes = chance.choice((0.0, 0.02, 0.1))
        self._jitter = chance.choice((0.0, 0.002, 0.02))
        self._numbers = itertools.count(1)
        self.network.on_moment = self.begin_to_strike
        self.database.on_moment = lambda: self.begin_to_strike(loop.machine, None)
        loop.on_count = self.strike

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

    # ---- the run -----------------------------------------------------------------------------------------------------

    async def live(self) -> bool:
        """The trouble, and then the calm. Returns whether everything ended."""
        chance, loop = self.chance, self.loop
        for _ in range(chance.choice((1, 2, 3))):
            self.start_replica()
        uploading = [self._upload(client) for client in self._make_clients()]
        for _ in range(chance.choice((0, 3, 8))):
            loop.call_at(chance.random() * TROUBLE_SECONDS, chance.choice(_TROUBLES), self)
        loop.call_at(TROUBLE_SECONDS, self.clear_up)
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
    any_replica(UploadWorld.kill),
    any_replica(lambda world, replica: world.freeze(replica, world.chance.choice((0.5, 3.0, 17.0)))),
    any_replica(UploadWorld.cut),
    any_replica(lambda world, replica: world.network.break_connections(ADDRESSES[0], replica.machine)),
    UploadWorld.freeze_broker,
    *[_others_transaction] * 3,
    UploadWorld.start_replica,
)
