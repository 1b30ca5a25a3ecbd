"""What an on-call engineer wants to see of the status service."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

RESULTS = Counter("hospital_status_results_projected_total", "Results of rows that were projected into the tables")
COMMIT_SECONDS = Histogram(
    "hospital_status_database_commit_seconds", "Transactions of the projection, from begin to commit", buckets=_SECONDS
)
LAG = Gauge("hospital_status_projection_lag_records", "Records that are still to be projected", ["topic", "partition"])
JOBS = Gauge("hospital_status_jobs", "Jobs that the tables hold", ["status"])
DEAD_LETTERS = Counter(
    "hospital_status_dead_letters_total", "Records that could not be read, or that the database refused", ["topic"]
)
UNKNOWN_EVENTS = Counter(
    "hospital_status_unknown_events_total", "Events of a type that this version does not know", ["topic"]
)
RESTARTS = Counter("hospital_status_projection_restarts_total", "Times that the projection had to begin again")
STOPPED = Gauge("hospital_status_projection_stopped", "1 while records are missing: only a rebuild helps")
RETRIED_ROWS = Counter("hospital_status_rows_retried_total", "Rows that were written again for a new round")
DELETED = Counter("hospital_status_jobs_deleted_total", "Jobs that were deleted after JOB_RETENTION_DAYS")
FINISHES = Counter("hospital_status_job_finished_total", "JobFinished that were sent")
WATCHERS = Gauge("hospital_status_watchers", "Event streams that are open")
WEBHOOKS_PENDING = Gauge("hospital_status_webhooks_pending", "Messages that are still to be delivered", ["tenant"])
WEBHOOK_TRIES = Counter(
    "hospital_status_webhook_tries_total", "Messages posted: delivered, failed, and given up", ["result"]
)
