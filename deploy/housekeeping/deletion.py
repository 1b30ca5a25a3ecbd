"""One run of the housekeeping: deletes the beginning of each partition that nobody needs."""

from collections.abc import Callable, Collection, Mapping

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.admin import RecordsToDelete
from sqlalchemy import URL

from deploy.housekeeping.needs import Limit, limit_of, read_groups, read_tables
from deploy.housekeeping.prefix import Need, Prefix, find_prefix, job_of
from services.status.lifecycle.retention import oldest
from services.status.settings import DatabaseSettings, RetentionSettings
from shared.contract.topics import Topics
from shared.runtime.databases import database_url
from shared.runtime.kafka import kafka_options
from shared.runtime.kafka.clients import Consumer
from shared.runtime.kafka.topic_admin import check_topics
from shared.runtime.settings import KafkaSettings, LogSettings

Report = Callable[[str], None]


class HousekeepingSettings(KafkaSettings, DatabaseSettings, RetentionSettings, LogSettings):
    """The settings of the housekeeping: variables of the services."""

    ingest_database_url: str = "sqlite:///ingest.db"

    @property
    def ingest_url(self) -> URL:
        """Ingest's database with its driver. Raises ValueError."""
        return database_url(self.ingest_database_url)


async def run_housekeeping(settings: HousekeepingSettings, report: Report, *, dry_run: bool) -> None:
    """Deletes from the topics of jobs, then results, then rows. `report` gets a line for each partition.

    Raises DatabaseMissing, SchemaOutdated, TopicsUnusable, KafkaError, SQLAlchemyError or OSError.
    """
    await check_topics(settings)
    topics = settings.topics
    tables = await read_tables(settings.url, settings.ingest_url, topics)
    everywhere = [at for topic in (topics.jobs, topics.results, *topics.rows) for at in _partitions(topic, topics)]
    groups = await read_groups(settings, everywhere)
    limits = {at: limit_of(at, tables, groups[at], topics) for at in everywhere}
    need = _need(tables.job_ids, oldest(settings.job_retention_days) // 1000, topics)
    async with Consumer(**kafka_options.consumer_options(settings)) as consumer:
        deletion = _Deletion(settings, consumer, limits, report, dry_run=dry_run)
        remaining_jobs = await deletion.jobs(need)
        need_with_jobs = _or_remaining(need, remaining_jobs, topics)
        for topic in (topics.results, *topics.rows):
            await deletion.others(topic, need_with_jobs)


class _Deletion:
    def __init__(
        self,
        settings: HousekeepingSettings,
        consumer: Consumer,
        limits: Mapping[TopicPartition, Limit],
        report: Report,
        *,
        dry_run: bool,
    ) -> None:
        self._settings = settings
        self._consumer = consumer
        self._limits = limits
        self._print_line = report
        self._dry_run = dry_run

    async def jobs(self, need: Need) -> set[str]:
        """Deletes from hospital.jobs. Returns the ids of the jobs that still have a record there."""
        prefixes, remaining_jobs = [], set()
        for at in _partitions(self._settings.topics.jobs, self._settings.topics):
            last: dict[str, int] = {}
            prefix = await find_prefix(self._consumer, at, self._limits[at], need, last)
            prefixes.append(prefix)
            remaining_jobs |= {key for key, offset in last.items() if offset >= prefix.end}
        await self._delete(prefixes)
        return remaining_jobs

    async def others(self, topic: str, need: Need) -> None:
        """Deletes from a topic of results or rows."""
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
            self._print_line(prefix.line("would delete" if self._dry_run else "deleted"))


def _partitions(topic: str, topics: Topics) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(topics.partitions)]


def _need(job_ids: Collection[str], young_from_ms: int, topics: Topics) -> Need:
    def need(record: ConsumerRecord) -> str | None:
        job_id = job_of(record, topics)
        if job_id in job_ids:
            return f"job {job_id} is unfinished or young"
        return "the record is young" if record.timestamp >= young_from_ms else None

    return need


def _or_remaining(need: Need, remaining: Collection[str], topics: Topics) -> Need:
    def need_with_jobs(record: ConsumerRecord) -> str | None:
        job_id = job_of(record, topics)
        return need(record) or (f"{topics.jobs} still holds job {job_id}" if job_id in remaining else None)

    return need_with_jobs
