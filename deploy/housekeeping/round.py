"""One round of the housekeeping."""

from collections.abc import Callable, Collection, Mapping

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import RecordsToDelete
from sqlalchemy import URL

from deploy.housekeeping.needs import Limit, limit_of, read_groups, read_tables
from deploy.housekeeping.prefix import Need, Prefix, find_prefix, job_of
from services.status.lifecycle.retention import oldest
from services.status.settings import DatabaseSettings, RetentionSettings
from shared.contract.topics import Topics
from shared.runtime import kafka_options
from shared.runtime.databases import database_url
from shared.runtime.settings import KafkaSettings, LogSettings
from shared.runtime.topic_admin import check_topics

Tell = Callable[[str], None]


class HousekeepingSettings(KafkaSettings, DatabaseSettings, RetentionSettings, LogSettings):
    """What the housekeeping is told: the same as the services."""

    ingest_database_url: str = "sqlite:///ingest.db"

    @property
    def ingest_url(self) -> URL:
        """Ingest's database with its driver. Raises ValueError."""
        return database_url(self.ingest_database_url)


async def keep_house(settings: HousekeepingSettings, tell: Tell, *, dry_run: bool) -> None:
    """Jobs, then results, then rows; a line for each partition.

    Raises DatabaseMissing, SchemaOutdated, TopicsUnusable, KafkaError, SQLAlchemyError or OSError.
    """
    await check_topics(settings)
    topics = settings.topics
    tables = await read_tables(settings.url, settings.ingest_url, topics)
    everywhere = [at for topic in (topics.jobs, topics.results, *topics.rows) for at in _partitions(topic, topics)]
    groups = await read_groups(settings, everywhere)
    limits = {at: limit_of(at, tables, groups[at], topics) for at in everywhere}
    need = _need(tables.job_ids, oldest(settings.job_retention_days) // 1000, topics)
    async with AIOKafkaConsumer(**kafka_options.consumer_options(settings)) as consumer:
        round_ = _Round(settings, consumer, limits, tell, dry_run=dry_run)
        still_told = await round_.jobs(need)
        needed_too = _or_told(need, still_told, topics)
        for topic in (topics.results, *topics.rows):
            await round_.others(topic, needed_too)


class _Round:
    def __init__(
        self,
        settings: HousekeepingSettings,
        consumer: AIOKafkaConsumer,
        limits: Mapping[TopicPartition, Limit],
        tell: Tell,
        *,
        dry_run: bool,
    ) -> None:
        self._settings = settings
        self._consumer = consumer
        self._limits = limits
        self._tell = tell
        self._dry_run = dry_run

    async def jobs(self, need: Need) -> set[str]:
        """Returns the jobs that hospital.jobs still tells of afterwards."""
        prefixes, still_told = [], set()
        for at in _partitions(self._settings.topics.jobs, self._settings.topics):
            last: dict[str, int] = {}
            prefix = await find_prefix(self._consumer, at, self._limits[at], need, last)
            prefixes.append(prefix)
            still_told |= {key for key, offset in last.items() if offset >= prefix.end}
        await self._delete(prefixes)
        return still_told

    async def others(self, topic: str, need: Need) -> None:
        """A topic of results or rows."""
        partitions = _partitions(topic, self._settings.topics)
        await self._delete([await find_prefix(self._consumer, at, self._limits[at], need) for at in partitions])

    async def _delete(self, prefixes: list[Prefix]) -> None:
        deletable = {each.partition: RecordsToDelete(before_offset=each.end) for each in prefixes if each.offsets}
        if deletable and not self._dry_run:
            client = kafka_options.admin_client(self._settings)
            try:
                await client.start()
                await client.delete_records(deletable)
            finally:
                await client.close()
        for prefix in prefixes:
            self._tell(prefix.line("would delete" if self._dry_run else "deleted"))


def _partitions(topic: str, topics: Topics) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(topics.partitions)]


def _need(job_ids: Collection[str], young_from_ms: int, topics: Topics) -> Need:
    def need(record: ConsumerRecord) -> str | None:
        job_id = job_of(record, topics)
        if job_id in job_ids:
            return f"job {job_id} is unfinished or young"
        return "the record is young" if record.timestamp >= young_from_ms else None

    return need


def _or_told(need: Need, told: Collection[str], topics: Topics) -> Need:
    def need_too(record: ConsumerRecord) -> str | None:
        job_id = job_of(record, topics)
        return need(record) or (f"{topics.jobs} still tells of job {job_id}" if job_id in told else None)

    return need_too
