"""A whole installation in simulated time: processors with the real engine, a Kafka, a directory, and those around them.

Everything that happens follows from the seed.
"""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from services.processor.engine import Engine
from services.processor.lane.lane import Lane
from services.processor.memory.sizes import charge
from services.processor.settings import ProcessorSettings
from shared.contract.events import RowErrorCode, RowFailed
from tests.simulation.kafka.cluster import BROKERS, COORDINATOR, LEADER, Cluster
from tests.simulation.kafka.server import serve
from tests.simulation.network import Network
from tests.simulation.processors import directory
from tests.simulation.processors.clerks import Clerks
from tests.simulation.processors.directory import Character, Directory
from tests.simulation.virtual_loop import Machine, VirtualLoop
from tests.simulation.weather import Weather
from tests.support.history import History, Violation, violations

BROKER_ADDRESSES = [(broker.host, broker.port) for broker in BROKERS]
ADDRESSES = [*BROKER_ADDRESSES, directory.ADDRESS]
STOP_SECONDS = 90.0
TOO_MUCH = "a processor holds more than it may"
#: Callbacks of a processor from one strike to the next, on average, where there are any.
STRIKES_EVERY = 8_000


@dataclass(eq=False)
class Processor:
    """A processor, from its start to its end."""

    machine: Machine
    engine: Engine
    task: "asyncio.Task[None]"
    stopping: bool = False

    @property
    def alive(self) -> bool:
        return not self.machine.dead and not self.task.done()

    @property
    def lanes(self) -> list[Lane]:
        """The lanes that it owns."""
        return self.engine.lane_consumer.running_lanes()


@dataclass(frozen=True)
class Plan:
    """What the seed decides before anything happens."""

    settings: ProcessorSettings
    processors: int
    character: Character
    kafka: float
    directory: float
    trouble_seconds: float
    jitter: float
    drift: float
    slow_network: float
    #: How likely a processor freezes or is killed at the very moment at which it connects or writes.
    strikes: float
    #: After the trouble Kafka forgets the group's offsets.
    forgets: bool
    #: See `scenarios`.
    scenario: str = "anything"
    #: How much likelier a message to or from the directory is struck than one to or from Kafka, upside down.
    kafka_strikes: float = 1 / 60
    #: How many of the strikes kill; the others freeze, for about so many seconds.
    deaths: float = 0.3
    freezes: tuple[float, ...] = (0.5, 3.0, 8.0, 15.0)
    #: How often something goes wrong at some time, and which of `run.TROUBLES` may. Empty: some of all.
    troubles: tuple[int, ...] = (0, 2, 5, 10, 20)
    kinds: tuple[str, ...] = ()
    #: How many rows jobs may have, and how many jobs there may be.
    rows: tuple[int, ...] = (1, 3, 10, 30)
    jobs: tuple[int, ...] = (1, 2, 3)
    #: The bytes of a further cell of each row.
    cell_bytes: int = 0
    #: How much likelier than else the directory creates late.
    lateness: int = 1
    #: How long bytes to and from the directory take at most, in seconds; 0: as others.
    directory_way: float = 0.0
    #: Transactions are coordinated by the leader, not by the broker that coordinates the group.
    transactions_apart: bool = False
    #: Trouble that stays for a while after the other has ended, and must not keep healthy rows waiting. See `lasting`.
    lasting: str = ""


class World:
    """One simulation. `plan` and `chance` decide everything."""

    def __init__(self, loop: VirtualLoop, plan: Plan, chance: random.Random) -> None:
        self.loop, self.plan, self.chance = loop, plan, chance
        self.network = Network(loop)
        self.weather = Weather(
            chance,
            lambda: loop.now,
            kafka=plan.kafka,
            directory=plan.directory,
            timeout=plan.settings.hospital_api_timeout,
            lateness=plan.lateness,
        )
        self.cluster = Cluster(self._later, self._marker_seconds, initial_delay=0.1 + chance.random())
        if plan.transactions_apart:
            self.cluster.transaction_coordinator = LEADER
        self.brokers = serve(self.cluster, self.network, self.weather)
        self.directory = Directory(self.network, plan.character, self.weather)
        for topic in plan.settings.topics.all():
            self.cluster.create_topic(topic.name, topic.partitions)
        self.clerks = Clerks(self.cluster, plan.settings.topics, chance, plan.cell_bytes, plan.character.refused)
        self.processors: list[Processor] = []
        self.trace: list[tuple[float, str, str]] = []
        self.crashes: list[Violation] = []
        self.happened: Counter[str] = Counter()
        self.troubled = True
        #: An operator let all rows be delivered once more: each has another result.
        self.forgotten = False
        self.network.on_moment = self._begin_to_strike
        loop.on_count = self._strike
        self._numbers = itertools.count(1)

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        self.network.later(self.loop.now + seconds, what)

    def _marker_seconds(self) -> float:
        return self.chance.choice((0.0005, 0.005, 0.05)) * self.chance.random()

    def note(self, text: str) -> None:
        """For the trace."""
        self.trace.append((self.loop.now, self.loop.machine.name, text))

    def happens(self, what: str, about: str = "") -> None:
        """Something that the simulation does to the installation."""
        self.happened[what] += 1
        self.note(f"*** {what} {about}".rstrip())

    # ---- processors --------------------------------------------------------------------------------------------------

    def start_processor(self) -> Processor:
        """One more."""
        chance, plan = self.chance, self.plan
        machine = Machine(
            f"processor-{next(self._numbers)}",
            rate=1 + plan.drift * chance.uniform(-1, 1),
            monotonic_at=chance.uniform(0, 100_000),
            wall_at=1_800_000_000 + chance.uniform(-0.3, 0.3),
            jitter=plan.jitter,
        )
        for address in ADDRESSES:
            way = self.network.way(machine, address)
            way.longest = 0.0005 + chance.random() * plan.slow_network
            if address == directory.ADDRESS and plan.directory_way and self.troubled:
                way.longest = plan.directory_way
        settings = plan.settings.model_copy(update={"instance_id": machine.name})
        self.happens("start", machine.name)
        self._arm(machine)
        context = self.loop.on(machine)
        engine = context.run(Engine, settings, self.loop.time, self.loop.wall_time)
        task = context.run(self.loop.create_task, engine.run())
        processor = Processor(machine, engine, task)
        task.add_done_callback(lambda _: self._ended(processor), context=self.loop.on(self.loop.world))
        self.processors.append(processor)
        return processor

    def _ended(self, processor: Processor) -> None:
        """It has ended by itself, or was asked to. Its operator starts another one if it has ended by itself."""
        task, name = processor.task, processor.machine.name
        if not processor.stopping:
            error = None if task.cancelled() else task.exception()
            self.note(f"{name} ended by itself: {error!r}")
            self.crashes.append(Violation("a processor ended by itself", name, tuple(_told(error))))
        self.kill(processor, why="ended")

    @property
    def alive(self) -> list[Processor]:
        """Those that run, be it frozen."""
        return [processor for processor in self.processors if processor.alive]

    def kill(self, processor: Processor, why: str = "kill") -> None:
        """As SIGKILL does."""
        self.happens(why, processor.machine.name)
        self.loop.kill(processor.machine)
        self.network.machine_died(processor.machine)

    def _begin_to_strike(self, machine: Machine, address: directory.Address) -> None:
        """Perhaps a processor freezes or dies a few callbacks after it began to connect, to write or to read an answer.

        Faults at random times mostly meet processors that wait. The dangerous moments are those between two steps, and
        most of them belong to calls.
        """
        likely = self.plan.strikes * (1 if address == directory.ADDRESS else self.plan.kafka_strikes)
        if self.troubled and likely and self.chance.random() < likely:
            machine.count_down = self.chance.randrange(12)

    def _strike(self, machine: Machine) -> None:
        if not self.troubled:
            return
        self._arm(machine)
        processor = next(each for each in self.processors if each.machine is machine)
        if processor.alive and not processor.stopping:
            if self.chance.random() < self.plan.deaths:
                self._die(processor)
            else:
                self.freeze(processor, self.chance.choice(self.plan.freezes) * (0.5 + self.chance.random()))

    def _arm(self, machine: Machine) -> None:
        if self.plan.strikes:
            machine.count_down = int(self.chance.expovariate(1.0) * STRIKES_EVERY)

    def _die(self, processor: Processor) -> None:
        self.kill(processor)
        self._later(1.0, self.start_processor)

    def freeze(self, processor: Processor, seconds: float) -> None:
        """As SIGSTOP does, for so long."""
        machine = processor.machine
        if not machine.frozen:
            self.happens("freeze", f"{machine.name} for {seconds:.2f} s")
            self.loop.freeze(machine)
            self._later(seconds, lambda: self._thaw(machine))

    def _thaw(self, machine: Machine) -> None:
        if machine.frozen:
            self.note(f"*** thaw {machine.name}")
            self.loop.thaw(machine)

    def stop(self, processor: Processor) -> None:
        """As SIGTERM does: it hands its lanes over. After a while it is killed."""
        if not processor.stopping:
            self.happens("stop", processor.machine.name)
            processor.stopping = True
            self.loop.on(processor.machine).run(self.loop.call_soon, processor.task.cancel)
            self._later(STOP_SECONDS, lambda: self._stopped(processor))

    def _stopped(self, processor: Processor) -> None:
        if not processor.machine.dead and not processor.machine.frozen:
            self.kill(processor, "killed since it did not stop")

    # ---- the ways between them ---------------------------------------------------------------------------------------

    def cut(self, processor: Processor, address: directory.Address, seconds: float) -> None:
        """Nothing comes through between a processor and an address for so long."""
        self.happens("cut", f"{processor.machine.name} from {_named(address)} for {seconds:.2f} s")
        self.network.cut(processor.machine, address, seconds)

    def heal(self) -> None:
        """All ways are open, and fast."""
        self.network.heal(slow=directory.ADDRESS)

    def freeze_broker(self, seconds: float) -> None:
        """A broker answers nothing for so long."""
        broker = self.chance.choice(self.brokers)
        self.happens("broker freezes", f"{_named(broker.address)} for {seconds:.2f} s")
        broker.frozen_until = max(broker.frozen_until, self.loop.now + seconds)

    def restart_broker(self, seconds: float) -> None:
        """A broker is away for so long: connections break, and new ones are refused."""
        address = self.chance.choice(BROKER_ADDRESSES)
        self.happens("broker away", f"{_named(address)} for {seconds:.2f} s")
        for processor in self.alive:
            self.network.refuse(processor.machine, address, seconds)
        self.network.break_connections(address)

    # ---- the end -----------------------------------------------------------------------------------------------------

    def history(self, *, complete: bool) -> History:
        """What is known when all has ended."""
        return History(
            self.clerks.accepted,
            self.clerks.results,
            self.directory.creations,
            self.clerks.job_events,
            self.directory.activations,
            self.clerks.undecodable,
            complete=complete,
            delivered_again=self.forgotten,
        )

    def check(self, *, complete: bool) -> list[Violation]:
        """The broken promises."""
        return [*violations(self.history(complete=complete)), *self._unknown_without_a_call()]

    def _unknown_without_a_call(self) -> Iterator[Violation]:
        """Where all calls arrive and lanes keep their owner, only what was sent may have an unknown outcome."""
        if not self.plan.character.rewrites:
            return
        sent = {unquote(key) for _, _, kind, key in self.directory.calls if kind == directory.CREATE}
        known = {(row.job_id, row.row, row.round): row for row in self.clerks.accepted}
        for result in self.clerks.results:
            if isinstance(result, RowFailed) and result.code is RowErrorCode.OUTCOME_UNKNOWN:
                row = known[result.job_id, result.row, result.round]
                if not row.may_exist and row.event_id not in sent:
                    yield Violation("outcome unknown, and was never sent", row.event_id, (repr(result),))

    def look(self) -> bool:
        """What can be seen of it now and then. Returns whether everything has ended."""
        for processor in self.alive:
            memory, lanes = processor.engine._memory, self.plan.settings.kafka_topic_partitions
            most = memory.limit + 2 * lanes * charge(b"", b" " * (self.plan.cell_bytes + 2_000))
            if memory.held > most and not any(crash.rule == TOO_MUCH for crash in self.crashes):
                self.crashes.append(Violation(TOO_MUCH, processor.machine.name, (f"{memory.held} bytes, not {most}",)))
        return self.clerks.look()

    @property
    def rows(self) -> int:
        """How many rows there were, each round by itself."""
        return len(self.clerks.accepted)

    def what_happened(self) -> Counter[str]:
        """Everything that went wrong, or was done to it."""
        return self.happened + self.weather.faults

    def digest(self) -> str:
        """What two runs of a seed have in common: every call to the directory and its moment, and all timers."""
        return repr((self.loop.now, self.loop.timers_set, self.directory.calls, self.directory.creations))

    def dispose(self) -> list[Any]:
        """Nothing of it ever runs again."""
        for processor in self.processors:
            self.loop.kill(processor.machine)
        return list(self.processors)


def _named(address: directory.Address) -> str:
    names = {(LEADER.host, LEADER.port): "the leader", (COORDINATOR.host, COORDINATOR.port): "the coordinator"}
    return names.get(address, "the directory")


def _told(error: BaseException | None) -> list[str]:
    """An error with those inside it, and where each came from."""
    if error is None:
        return ["without an error"]
    if isinstance(error, BaseExceptionGroup):
        return [line for each in error.exceptions for line in _told(each)]
    lines = [repr(error)]
    trace: Any = error.__traceback__
    while trace is not None:
        lines.append(f"  {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno} {trace.tb_frame.f_code.co_name}")
        trace = trace.tb_next
    return [lines[0], *lines[-6:]]
