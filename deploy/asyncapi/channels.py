"""The topics as AsyncAPI channels: how each is configured, and what its readers may count on."""

from dataclasses import dataclass
from typing import Any, Final

from shared.contract.events import (
    BatchActivated,
    BatchActivationFailed,
    BatchActivationRequested,
    Event,
    JobAccepted,
    JobCancelRequested,
    JobFinished,
    JobRetryRequested,
    ProcessorReported,
    RowAccepted,
    RowCreated,
    RowFailed,
    RowResolved,
    RowUnprocessed,
    SendingPaused,
    SendingResumed,
)
from shared.contract.topics import Topic, Topics

BINDING_VERSION: Final = "0.5.0"
DEAD_LETTER: Final = "DeadLetter"

_JOB_EVENTS: Final = (
    JobAccepted,
    JobCancelRequested,
    JobRetryRequested,
    JobFinished,
    BatchActivationRequested,
    BatchActivated,
    BatchActivationFailed,
    RowResolved,
    SendingPaused,
    SendingResumed,
)
_KEPT: Final = (
    "For ever, as far as Kafka is concerned. The housekeeping deletes the beginning that nobody needs any more."
)
_ROWS_ORDER: Final = "None between rows: they are spread over all partitions by their keys, and run at the same time."
_WHOLE: Final = (
    "A job appears whole or not at all: its rows and its JobAccepted are one transaction. "
    "A row is there once per round."
)


@dataclass(frozen=True, slots=True)
class TopicGuide:
    """What a topic promises to its readers."""

    title: str
    summary: str
    events: tuple[type[Event], ...]
    key: str
    ordering: str
    retention: str
    delivery: str

    @property
    def messages(self) -> tuple[str, ...]:
        """The names of the messages on it."""
        return tuple(event.__name__ for event in self.events) or (DEAD_LETTER,)


def guides(topics: Topics) -> dict[str, TopicGuide]:
    """The guide to each topic, by its name."""
    return {
        topics.rows_express: TopicGuide(
            "Rows of small jobs",
            "Rows that go first, so that a small job hardly waits for a huge one.",
            (RowAccepted,),
            "job_id:row",
            _ROWS_ORDER,
            _KEPT,
            _WHOLE,
        ),
        topics.rows_bulk: TopicGuide(
            "Rows of large jobs",
            "Rows of jobs of more than EXPRESS_MAX_ROWS rows.",
            (RowAccepted,),
            "job_id:row",
            _ROWS_ORDER,
            _KEPT,
            _WHOLE,
        ),
        topics.results: TopicGuide(
            "Results of rows",
            "What became of each row.",
            (RowCreated, RowFailed, RowUnprocessed),
            "job_id",
            "All results of a job are in one partition, in the order in which they were written: not that of the file.",
            _KEPT,
            "Each row has exactly one result per round for a reader with isolation.level=read_committed.",
        ),
        topics.jobs: TopicGuide(
            "What happens to jobs",
            "From the acceptance of a file to the end of each round, and what people asked for meanwhile.",
            _JOB_EVENTS,
            "job_id; sending for SendingPaused and SendingResumed",
            "All events of a job are in one partition and in order. There is no order between topics: "
            "JobFinished may be read before the last results. Its manifest shows whether all of them have been read.",
            _KEPT,
            "At least once: after a crash an event may be there again, with the same ce_id.",
        ),
        topics.processors: TopicGuide(
            "Reports of processors",
            "How each processor is. Made for this system; other readers may use it for monitoring.",
            (ProcessorReported,),
            "the processor's instance id",
            "The reports of a processor are in order.",
            "Compacted: the last report of each processor is kept.",
            "Every 5 s, at least once. A report that cannot be written is left out: the next one says more.",
        ),
        topics.dead_letters: TopicGuide(
            "Records that could not be read",
            "As they were received. The headers say why, and where the record stands.",
            (),
            "as received",
            "None.",
            _KEPT,
            "At least once: a record that is read twice makes two dead letters that are the same.",
        ),
    }


def channels(topics: Topics) -> dict[str, Any]:
    """A channel for each topic, by the topic's name."""
    about = guides(topics)
    return {topic.name: _channel(topic, about[topic.name]) for topic in topics.all()}


def _channel(topic: Topic, guide: TopicGuide) -> dict[str, Any]:
    return {
        "address": topic.name,
        "title": guide.title,
        "summary": guide.summary,
        "description": "\n".join(
            f"- **{name}**: {words}"
            for name, words in (
                ("Key", guide.key),
                ("Order", guide.ordering),
                ("Kept", guide.retention),
                ("Delivery", guide.delivery),
            )
        ),
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in guide.messages},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": _configuration(topic.config),
                "bindingVersion": BINDING_VERSION,
            }
        },
        "x-key": guide.key,
        "x-ordering": guide.ordering,
        "x-retention": guide.retention,
        "x-delivery": guide.delivery,
    }


def _configuration(config: dict[str, str]) -> dict[str, Any]:
    """As the binding wants it: the policy as a list, numbers as numbers."""
    return {name: [text] if name == "cleanup.policy" else int(text) for name, text in config.items()}
