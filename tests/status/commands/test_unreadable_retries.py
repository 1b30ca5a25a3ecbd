"""Requests for a retry that no database can look up: they hold up none behind them."""

import json

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from services.status.commands.retry_partition import RetryPartition
from services.status.commands.retry_transactions import RetryProgress
from shared.contract.cloud_events import encode
from shared.runtime.settings import KafkaSettings
from tests.support.status.job_histories import JobHistory

JOBS = TopicPartition("hospital.jobs", 0)


@pytest.mark.parametrize("changed", [{"job_id": "a\0b"}, {"round": 2**31}])
async def test_a_request_that_no_database_can_look_up_is_passed(postgresql, changed):
    """The projection gives it to the dead letters."""
    partition = RetryPartition(KafkaSettings(), postgresql, JOBS)
    partition.start(RetryProgress(0))
    made = encode(JobHistory().retried(2), "test")
    value = json.dumps(json.loads(made.value) | changed).encode()
    partition.admit([ConsumerRecord(*JOBS, 0, 0, 0, made.key, value, None, 0, 0, tuple(made.headers))], 1)
    assert not partition.busy
