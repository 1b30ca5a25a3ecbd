"""Activations on a real broker: they belong to the lanes."""

import asyncio
from contextlib import AsyncExitStack

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.contract.events import BatchActivated, BatchActivationFailed, BatchActivationRequested
from shared.runtime.kafka import kafka_options
from tests.support.processor.installation import TIMEOUT_SECONDS, rows, running_installation
from tests.support.until import until


def request(name):
    return BatchActivationRequested(tenant="t", job_id="job", batch_id="batch", request_id=name)


async def test_with_more_processors_than_partitions_every_activation_comes(kafka_bootstrap, topic_prefix):
    """They had a group of their own: a processor that got the requests, but no lane, never sent any of them."""
    async with (
        running_installation(kafka_bootstrap, topic_prefix, kafka_topic_partitions=1, rate_limit_requests=10) as here,
        AsyncExitStack() as stack,
    ):
        engines = [await stack.enter_async_context(here.processing()) for _ in range(3)]
        await until(
            "one lane with one owner",
            lambda: [lane.reads for engine in engines for lane in engine.lane_consumer.running_lanes()] == [True],
            TIMEOUT_SECONDS,
        )
        await here.write(*rows(3))
        await here.results(3)
        await here.write(request("by hand"), topic=here.topics.jobs)
        assert len(await here.job_events(BatchActivated)) == 1


async def test_an_installation_goes_on_where_its_former_group_stood(kafka_bootstrap, topic_prefix):
    """Once: what that group had answered is not sent again, and its last request is."""
    async with running_installation(kafka_bootstrap, topic_prefix) as here:
        await here.write(request("long ago"), topic=here.topics.jobs)
        await here.write(request("now"), topic=here.topics.jobs)
        where = TopicPartition(here.topics.jobs, 0)
        former = AIOKafkaConsumer(
            group_id=here.topics.group("activation"), **kafka_options.consumer_options(here.settings)
        )
        async with former:
            former.assign([where])
            await former.commit({where: 2})  # the request, and the marker of its transaction
        async with here.processing():
            await here.job_events(BatchActivationFailed)  # the directory has no such batch
            await asyncio.sleep(0.3)
        assert {each.request_id for each in await here.job_events(BatchActivationFailed)} == {"now"}
        assert [commit[0] for at, commit in (await here.commits()).items() if at == where] == [4]


async def test_a_batch_that_fails_and_one_behind_it(kafka_bootstrap, topic_prefix):
    """The directory knows the first one not at all; its words are the answer."""
    async with running_installation(kafka_bootstrap, topic_prefix) as here:
        unknown = request("unknown").model_copy(update={"batch_id": "nowhere"})
        await here.write(*rows(1))
        async with here.processing():
            await here.results(1)
            await here.write(unknown, request("known"), topic=here.topics.jobs)
            await here.job_events(BatchActivated)
            [failed] = await here.job_events(BatchActivationFailed)
        assert failed.batch_id == "nowhere"
        assert failed.message
