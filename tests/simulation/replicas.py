"""Replicas of a service that share a database and a Kafka: what the simulations of ingest and of status do to them."""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.simulation.kafka.cluster import BROKERS
from tests.simulation.network import Address, Network
from tests.simulation.virtual_loop import Machine, VirtualLoop
from tests.simulation.weather import Weather

ADDRESSES = [(broker.host, broker.port) for broker in BROKERS]
#: Where a simulation keeps its files: in memory, where there is one.
FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None


class ReplicatedWorld:
    """What can happen to the replicas of one simulation. `chance` decides everything.

    Whoever inherits it makes all of these, and starts replicas.
    """

    loop: VirtualLoop
    chance: random.Random
    network: Network
    weather: Weather
    database: Any
    brokers: list[Any]
    replicas: list[Any]
    happened: Counter[str]
    trace: list[tuple[float, str, str]]
    troubled: bool
    #: How likely a replica is struck at each moment that it writes or reads.
    strikes: float
    #: How long it is frozen then, and how long a way to a broker is cut, in seconds, give or take a half.
    struck_seconds: tuple[float, ...]
    cut_seconds: tuple[float, ...]

    def start_replica(self) -> None:
        """One more."""
        raise NotImplementedError

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        """Does something in so many seconds, whatever becomes of the machines."""
        self.network.later(self.loop.now + seconds, what)

    def note(self, text: str) -> None:
        """For the trace."""
        self.trace.append((self.loop.now, self.loop.machine.name, text))

    def happens(self, what: str, about: str = "") -> None:
        """Something that the simulation does to the installation."""
        self.happened[what] += 1
        self.note(f"*** {what} {about}".rstrip())

    def alive(self) -> list[Any]:
        """The replicas that run, or are frozen."""
        return [replica for replica in self.replicas if not replica.machine.dead]

    def any_replica(self) -> Any:
        """One of them; None when there is none."""
        alive = self.alive()
        return self.chance.choice(alive) if alive else None

    def kill(self, replica: Any) -> None:
        """As SIGKILL does. Another one starts soon."""
        if not replica.machine.dead:
            self.happens("kill", replica.machine.name)
            self.loop.kill(replica.machine)
            self.machine_died(replica.machine)
            self.later(self.chance.choice((0.1, 2.0)), self.start_replica)

    def machine_died(self, machine: Machine) -> None:
        """What its connections come to."""
        self.network.machine_died(machine)

    def freeze(self, replica: Any, seconds: float) -> None:
        """As SIGSTOP does, for so long."""
        machine = replica.machine
        if not (machine.frozen or machine.dead):
            self.happens("freeze", f"{machine.name} for {seconds:.2f} s")
            self.loop.freeze(machine)
            self.later(seconds, lambda: self.loop.thaw(machine))

    def cut(self, replica: Any) -> None:
        """Its way to one of the brokers."""
        seconds = self.chance.choice(self.cut_seconds) * (0.5 + self.chance.random())
        self.happens("cut", f"{replica.machine.name} for {seconds:.2f} s")
        self.network.cut(replica.machine, self.chance.choice(ADDRESSES), seconds)

    def freeze_broker(self) -> None:
        """One of them answers nothing for a while."""
        broker = self.chance.choice(self.brokers)
        self.happens("broker freezes")
        broker.frozen_until = max(broker.frozen_until, self.loop.now + self.chance.choice((0.5, 2.0, 6.0)))

    def begin_to_strike(self, machine: Machine, _address: Address | None) -> None:
        """Perhaps a replica freezes or dies a few callbacks after it wrote to Kafka or to the database, or read."""
        may = self.troubled and machine is not self.loop.world
        if may and self.chance.random() < self.strikes:
            machine.count_down = self.chance.randrange(12)

    def strike(self, machine: Machine) -> None:
        """Kills or freezes the replica of a machine, unless it has cleared up."""
        replica = next(each for each in self.replicas if each.machine is machine)
        if self.troubled and self.chance.random() < 0.6:
            self.kill(replica)
        elif self.troubled:
            self.freeze(replica, self.chance.choice(self.struck_seconds) * (0.5 + self.chance.random()))

    def clear_up(self) -> None:
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

    def what_happened(self) -> Counter[str]:
        """Everything that went wrong, or was done to it."""
        return self.happened + self.weather.faults + self.database.happened


def any_replica(act: Callable[[Any, Any], None]) -> Callable[[Any], None]:
    """Trouble for one replica of a world, if there is one."""

    def trouble(world: ReplicatedWorld) -> None:
        if (replica := world.any_replica()) is not None:
            act(world, replica)

    return trouble
