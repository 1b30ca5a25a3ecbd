"""`python -m deploy.housekeeping [--dry-run]`: deletes the beginning of each partition of rows, results and jobs.

A partition's beginning ends with the first record of a job that is unfinished or that JOB_RETENTION_DAYS keeps, with
the first record younger than that, and below all that somebody has still to read: status by its stored offsets, every
consumer group of the cluster by what it committed, ingest by its reservations.

Jobs go first. The results of a job that hospital.jobs still tells of stay, so that a rebuild finds it whole; what is
left of the results of a job that it no longer tells of is never shown, and status deletes it.
"""

import argparse
import asyncio
import sys

from aiokafka.errors import KafkaError
from sqlalchemy.exc import SQLAlchemyError

from deploy.housekeeping.needs import DatabaseMissing
from deploy.housekeeping.round import HousekeepingSettings, keep_house
from shared.runtime.logging import configure_logging
from shared.runtime.schema_versions import SchemaOutdated
from shared.runtime.settings import load, stop
from shared.runtime.topic_admin import TopicsUnusable


def main() -> None:
    """Deletes, or says what it would delete; one line a partition."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.housekeeping",
        description="Deletes the beginning of each partition of rows, results and jobs that nobody needs any more.",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
    arguments = parser.parse_args()
    settings = load(HousekeepingSettings)
    configure_logging(settings, "housekeeping")
    try:
        asyncio.run(keep_house(settings, _tell, dry_run=arguments.dry_run))
    except (DatabaseMissing, SchemaOutdated, TopicsUnusable, SQLAlchemyError, KafkaError, OSError) as error:
        stop(f"{error or type(error).__name__}. Only what is said above to be deleted is deleted")


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
