"""Which partition a key belongs to: murmur2 of its bytes, as every Kafka client computes it."""

from aiokafka.partitioner import murmur2


def partition_of(key: bytes, partitions: int) -> int:
    """The partition, from 0, of a key in a topic of so many partitions."""
    hashed: int = murmur2(key)
    return (hashed & 0x7FFFFFFF) % partitions
