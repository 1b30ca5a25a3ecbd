"""What the service counts, for Prometheus."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

UPLOADS: Final = Counter(
    "hospital_ingest_uploads_total", "Uploads by how they ended: accepted, replayed, or the error_type", ["outcome"]
)
ROWS_PUBLISHED: Final = Counter("hospital_ingest_rows_published_total", "Rows of jobs that were committed to Kafka")
PUBLISH_SECONDS: Final = Histogram(
    "hospital_ingest_publish_seconds",
    "From the start of a job's producer to the end of its transaction",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15, 60, 180),
)
PUBLISHING: Final = Gauge("hospital_ingest_publishing", "Uploads that are being published")
SETTLED: Final = Counter(
    "hospital_ingest_settled_total", "Abandoned reservations by what was found: accepted or freed", ["found"]
)
CREATED_ROWS: Final = Counter("hospital_ingest_created_rows_total", "Created rows that were read from the results")
CREATED_ROWS_BEHIND: Final = Gauge("hospital_ingest_created_rows_behind", "Results that are still to be read")
