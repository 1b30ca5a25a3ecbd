"""`python -m deploy.housekeeping [--dry-run]`: deletes the beginning of each partition of rows, results and jobs.

A record can be deleted when its job is finished and older than JOB_RETENTION_DAYS, and the record is older as well.
Deleting stops at the first other record of the partition, and before the first record that somebody still has to read.
That is: status by its stored offsets, every consumer group of the cluster by its committed offsets, and ingest by its
reservations.

Jobs go first. Results of a job stay while hospital.jobs holds a record of it, so that a rebuild finds the whole job.
Afterwards its remaining results are never shown, and status deletes them.
"""

import argparse
import asyncio
import sys

from sqlalchemy.exc import SQLAlchemyError

from deploy.housekeeping.deletion import HousekeepingSettings, run_housekeeping
from deploy.housekeeping.needs import DatabaseMissing
from shared.runtime.kafka.failures import KAFKA_FAILURES
from shared.runtime.kafka.topic_admin import TopicsUnusable
from shared.runtime.logging import configure_logging
from shared.runtime.schema_versions import SchemaOutdated
from shared.runtime.settings import load, stop


def main() -> None:
    """Deletes, or prints what it would delete: one line for each partition."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.housekeeping",
        description="Deletes the beginning of each partition of rows, results and jobs that nobody needs any more.",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
    arguments = parser.parse_args()
    settings = load(HousekeepingSettings)
    configure_logging(settings, "housekeeping")
    try:
        asyncio.run(run_housekeeping(settings, _print_line, dry_run=arguments.dry_run))
    except (DatabaseMissing, SchemaOutdated, TopicsUnusable, SQLAlchemyError, *KAFKA_FAILURES) as error:
        stop(f"{error or type(error).__name__}. Only what is said above to be deleted is deleted")


def _print_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
