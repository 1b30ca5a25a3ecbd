"""The simulated Kafka does what the real one does."""

import asyncio
import random

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.simulation.kafka.cluster import LEADER, Cluster
from tests.simulation.kafka.comparison import Schedule, Seen
from tests.simulation.kafka.server import serve
from tests.simulation.library_clocks import clocks_of
from tests.simulation.network import Network
from tests.simulation.virtual_loop import VirtualLoop


def on_simulated_kafka(seed: int) -> Seen:
    """The schedule in simulated time."""
    loop = VirtualLoop(random.Random(seed))
    network = Network(loop)
    cluster = Cluster(lambda seconds, what: network.later(loop.now + seconds, what), lambda: 0.01)
    serve(cluster, network)
    cluster.create_topic("compared", 2)

    async def play() -> Seen:
        return await Schedule(seed, f"{LEADER.host}:{LEADER.port}", "compared").run()

    try:
        with clocks_of(loop):
            return loop.run_until_complete(play())
    finally:
        loop.close()


async def on_real_kafka(seed: int, bootstrap: str, topic: str) -> Seen:
    """The same schedule on a broker."""
    # A producer that was fenced leaves errors behind that nobody asks for.
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 2, 1)])
    finally:
        await admin.close()
    return await Schedule(seed, bootstrap, topic).run()


@pytest.fixture(params=range(20))
def seed(request):
    return request.param


@pytest.fixture
def simulated(seed):
    """Made before the test's own loop runs: a thread has one running loop."""
    return on_simulated_kafka(seed)


async def test_both_answer_alike_and_readers_see_the_same(seed, simulated, kafka_bootstrap, topic_prefix):
    """The same transactions, fenced producers, late and repeated requests: same errors, records and offsets."""
    real = await on_real_kafka(seed, kafka_bootstrap, f"{topic_prefix}compared")
    assert simulated.answers == real.answers, f"simulated {simulated}\nreal {real}"
    assert simulated.records == real.records
    assert simulated.ends == real.ends
    assert simulated.committed == real.committed
