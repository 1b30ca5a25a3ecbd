"""Watches a job until it has ended, and says how."""

import time

from client.command_context import CommandContext
from client.errors import TryAgain
from client.exit_status import ExitStatus, of_outcome
from client.output import words
from client.schemas import Job
from client.throughput import Throughput
from client.watch import ConnectionLost, JobWatch, wait_for_next_round


def watch_job(context: CommandContext, job_id: str, before: Job | None = None) -> ExitStatus:
    """The exit status of the job's outcome. `before`: the job as it was when a retry was asked for."""
    job = watched(context, job_id, before)
    context.output.document(job.raw())
    return of_outcome(job)


def watched(context: CommandContext, job_id: str, before: Job | None = None) -> Job:
    """The job at its end. Raises TryAgain when the service is away for too long."""
    throughput, again = Throughput(), context.command("status", job_id, "--watch")
    goes_on = f"The job goes on without this command. Watch it again with:\n  {again}"
    with context.output.watching() as on_progress, context.on_interrupt(goes_on):
        try:
            if before is not None:
                wait_for_next_round(context.api, before)
            for update in JobWatch(context.api, job_id).updates():
                if isinstance(update, ConnectionLost):
                    context.on_retry(update.error, update.pause)
                else:
                    job = update
                    on_progress(job, throughput.record(job.processed_hospitals, time.monotonic()))
        except TryAgain as error:
            raise error.with_advice(goes_on) from error
    context.output.say(words.ending(job))
    if job.failed_hospitals and job.ended:
        context.output.say(f"The failed rows: {context.command('failed', job_id, '-o', 'failed.csv')}")
    if job.unknown_hospitals and job.ended:
        context.output.say(words.may_exist(job.unknown_hospitals, context.command("resolve", job_id, "ROW")))
    return job
