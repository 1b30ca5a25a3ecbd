"""How much memory things take, measured on CPython 3.11 and rounded up. All sizes are in bytes.

A process has its program, something for each lane, and what is being fetched. What is left of its memory is for rows.
"""

from typing import Final

from shared.contract.topics import MAX_MESSAGE_BYTES

MEGABYTE: Final = 1_000_000

#: A processor that idles takes 81 MB; busy, its connections and its commits take more.
PROGRAM_BYTES: Final = 110 * MEGABYTE
#: A lane's producer and windows. 60 lanes that idle take 5 MB.
LANE_BYTES: Final = 250_000

#: What one partition gives at a time. A larger record would be skipped with only a log line (aiokafka #1173).
PARTITION_FETCH_BYTES: Final = MAX_MESSAGE_BYTES + 4096
#: Partitions of one topic that are fetched at the same time while more is waiting in each of them than fits.
FETCHED_AT_ONCE: Final = 4
#: What a broker answers at once: bulk rows fill it to four sixths, so express rows always have room in it.
FETCH_BYTES: Final = (FETCHED_AT_ONCE + 2) * PARTITION_FETCH_BYTES
#: An answer, read and taken apart (three copies of it), and records that were fetched and not yet taken.
READING_BYTES: Final = 3 * FETCH_BYTES + 2 * FETCHED_AT_ONCE * PARTITION_FETCH_BYTES

#: A row without what was uploaded: its event, its attempts, its places in the lane.
ROW_BYTES: Final = 3_000
#: A record waits in its window once. When its result is committed there are three copies of that: encoded, in a batch,
#: and in the request.
COPIES: Final = 3
#: The largest record, as it is charged.
LARGEST_CHARGE: Final = ROW_BYTES + COPIES * PARTITION_FETCH_BYTES

#: Bulk rows take at most this share of what there is, so that express rows never wait for them.
BULK_SHARE: Final = 0.75
#: A lane takes at most this share.
LANE_SHARE: Final = 0.25
#: And no more than this: all of it may go out in one commit, which must not take longer than 5 s.
LANE_LIMIT: Final = 64 * MEGABYTE
#: Less than this would not let each kind of row have the largest record.
LEAST_WINDOW_BYTES: Final = int(LARGEST_CHARGE / BULK_SHARE / LANE_SHARE) + 1


def charge(key: bytes | None, value: bytes | None) -> int:
    """What a record is charged from its delivery until its result is committed."""
    return ROW_BYTES + COPIES * (len(key or b"") + len(value or b""))


def window_bytes(megabytes: int, partitions: int) -> int:
    """What is left for rows of a process with so much memory that owns all lanes. Raises ValueError: too little."""
    taken = PROGRAM_BYTES + LANE_BYTES * partitions + READING_BYTES
    left = megabytes * MEGABYTE - taken
    if left < LEAST_WINDOW_BYTES:
        least = -(-(taken + LEAST_WINDOW_BYTES) // MEGABYTE)
        raise ValueError(
            f"PROCESSOR_MEMORY_MB has to be at least {least} with {partitions} partitions: less cannot hold the "
            "largest record that Kafka may deliver"
        )
    return left
