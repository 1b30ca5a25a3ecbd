"""The largest job that the settings allow is published: its event names nearly as many batches as a record can hold."""

from services.ingest.settings import MAX_BATCHES
from tests.support.ingest.ingest_server import ingest, ready, settings, upload
from tests.support.ingest.published_jobs import events
from tests.support.ingest.repeating_client import hospitals


async def test_a_job_of_as_many_batches_as_an_event_can_name_is_published(tmp_path, kafka_bootstrap, topic_prefix):
    """Each row is a batch of its own here."""
    where = {
        "kafka_bootstrap_servers": kafka_bootstrap,
        "kafka_topic_prefix": topic_prefix,
        "batch_rows": 1,
        "max_csv_rows": MAX_BATCHES,
    }
    async with ingest(tmp_path, **where) as client:
        await ready(client)
        answer = await upload(client, hospitals(MAX_BATCHES))

    reading = settings(tmp_path, **where)
    (accepted,) = await events(reading, reading.topics.jobs)
    assert answer.status_code == 202, answer.text
    assert list(accepted.batch_ids) == answer.json()["batch_ids"]
    assert len(accepted.batch_ids) == MAX_BATCHES
    assert len(accepted.model_dump_json()) > 975_000
