"""One process of status: its projection, what it does with finished jobs, and its retries. HTTP is not there."""

from functools import partial

from services.status.commands.retry_consumer import RetryConsumer
from services.status.lifecycle.finishing import Finishing
from services.status.projection.decoding import DeadLetterTopic, Decoder
from services.status.projection.positions import Positions
from services.status.projection.projector import Projector
from services.status.projection.reader import Reader
from services.status.settings import StatusSettings
from services.status.tables.change_signal import ChangeSignal
from shared.runtime.databases import create_engine
from shared.runtime.kafka.publisher import Publisher
from tests.simulation.virtual_loop import Machine, VirtualLoop


class Replica:
    """A process of status on a machine of its own."""

    def __init__(self, loop: VirtualLoop, machine: Machine, settings: StatusSettings) -> None:
        self.machine = machine
        self._loop = loop
        loop.on(machine).run(self._start, settings)

    def _start(self, settings: StatusSettings) -> None:
        topics = settings.topics
        engine = create_engine(settings.url, pool_size=5)
        positions, signal, publisher = Positions(), ChangeSignal(), Publisher(settings, "status")
        decoder = Decoder(topics, DeadLetterTopic(publisher, topics.dead_letters))
        make_reader = partial(Reader, clock=self._loop.time)
        projector = Projector(settings, engine, decoder, positions, signal, make_reader=make_reader)
        finishing = Finishing(engine, publisher, topics.jobs, positions, signal)
        retries = RetryConsumer(settings, engine, clock=self._loop.time)
        self._kept = [self._loop.create_task(part.run()) for part in (projector, finishing, retries)]
