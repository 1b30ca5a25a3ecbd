"""Keys go to the partitions that every Kafka client gives them."""

from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as some

from shared.runtime.kafka.partitions import partition_of


@given(key=some.binary(min_size=1, max_size=60), partitions=some.integers(1, 50))
def test_a_key_has_the_partition_that_kafka_s_own_rule_gives_it(key, partitions):
    """aiokafka's partitioner, which follows Java's."""
    every = list(range(partitions))
    assert partition_of(key, partitions) == DefaultPartitioner()(key, every, every)
