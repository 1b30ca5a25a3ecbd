"""Numbers, times and reasons as printed words. Pure."""

import math
from datetime import datetime
from typing import Final

from client.schemas import HistoryEntry, Job, RowProblem

#: What `waiting_for` means for the person who waits.
WAITING: Final = {
    "rate_limit": "Sending at the allowed pace.",
    "circuit_breaker": "The directory does not answer properly. No row is lost: it is tried again until it does.",
    "takeover": "A processor has stopped, and another takes over. No row is lost: it finds out first what was sent.",
    "look_ups": "The last rows are looked up: the directory gave no clear answer for them.",
    "directory_slow": "The directory is slow to answer; as much is sent as it takes.",
    "activation": "All hospitals are created, and are being activated.",
    "queue": "Other uploads are ahead; the job goes on when it is its turn.",
    "no_processor": "No processor is running. No row is lost; the team that runs the service has to start one.",
    "paused": "Sending is paused by the team that runs the service; the job goes on when they resume it.",
}
_UNITS: Final = ("bytes", "KB", "MB", "GB")


def printable(text: str) -> str:
    """Text from elsewhere, without characters that move the cursor or change colours."""
    return "".join(
        char if char.isprintable() else " " if char.isspace() else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def counted(amount: int, one: str, many: str) -> str:
    """Such as "1 hospital", "1,000 hospitals"."""
    return f"{amount:,} {one if amount == 1 else many}"


def hospitals(amount: int) -> str:
    """Such as "25 hospitals"."""
    return counted(amount, "hospital", "hospitals")


def size(amount: int) -> str:
    """Such as "150 MB"."""
    step = min(len(_UNITS) - 1, int(math.log10(max(amount, 1)) // 3))
    return (
        f"{amount / 1000**step:.1f}".removesuffix(".0") + f" {_UNITS[step]}"
        if step
        else counted(amount, "byte", "bytes")
    )


def duration(seconds: float) -> str:
    """Such as "8 seconds", "3 minutes", "2 hours 5 minutes", "23 days"."""
    whole = max(1, round(seconds))
    if whole < 90:
        return counted(whole, "second", "seconds")
    minutes = round(whole / 60)
    if minutes < 60:
        return counted(minutes, "minute", "minutes")
    hours, rest = divmod(minutes, 60)
    if hours >= 48:
        return counted(round(hours / 24), "day", "days")
    return counted(hours, "hour", "hours") + (f" {counted(rest, 'minute', 'minutes')}" if rest and hours < 10 else "")


def rate(per_second: float) -> str:
    """Hospitals a second, or a minute when they are few."""
    return f"{per_second:,.1f} a second" if per_second >= 1 else f"{per_second * 60:,.1f} a minute"


def moment(when: datetime) -> str:
    """In the reader's own time zone."""
    return f"{when.astimezone():%Y-%m-%d %H:%M}"


def clock(when: datetime) -> str:
    """The time of day, in the reader's own time zone."""
    return f"{when.astimezone():%H:%M:%S}"


def history_details(entry: HistoryEntry) -> str:
    """What else a command or the end of a round says."""
    if entry.kind == "resolve":
        return f"row {entry.row}: {'absent' if entry.hospital_id is None else f'hospital {entry.hospital_id}'}"
    if entry.kind == "cancel":
        return "more rows failed than the upload allows" if entry.reason == "max_failures" else ""
    if entry.kind == "retry":
        chosen = ", ".join(entry.codes or [])
        return "came too late, nothing changed" if entry.ignored else chosen
    if entry.kind == "activate" and entry.requested_by is None:
        return f"batch {entry.batch_id}, since all is created after correction"
    return entry.outcome or (f"batch {entry.batch_id}" if entry.batch_id else "")


def problem(found: RowProblem) -> str:
    """Such as "row 7, address: The address is missing."."""
    place = ", ".join(filter(None, [f"row {found.row}" if found.row else "", found.column or ""]))
    return printable(f"{place}: {found.message}" if place else found.message)


def progress(job: Job, per_second: float | None) -> str:
    """One line for a running job: its counts, its rate, the time left, and why it waits."""
    counts = f"{job.processed_hospitals:,} of {hospitals(job.total_hospitals)} ({job.percent} %)"
    if job.failed_hospitals:
        counts += f", {job.failed_hospitals:,} failed"
    return ". ".join(filter(None, [", ".join(filter(None, [counts, speed(job, per_second)])), reason(job)]))


def speed(job: Job, per_second: float | None) -> str:
    """The rate and the time left; empty when both are unknown."""
    left = f"{duration(job.eta_seconds)} left" if job.eta_seconds else ""
    return ", ".join(filter(None, [rate(per_second) if per_second else "", left]))


def reason(job: Job) -> str:
    """Why the job waits, or that it is being cancelled; empty otherwise."""
    if job.cancelling:
        return "It is being cancelled: what was not sent will not be sent, rows on their way are waited for."
    if job.waiting_for == "rate_limit" and job.next_try_at:
        return f"The directory asks us to slow down: it is called again at {clock(job.next_try_at)}."
    waits = WAITING.get(job.waiting_for, job.waiting_for) if job.waiting_for else ""
    since = f"Since {clock(job.waiting_since)}." if job.waiting_since else ""
    again = f"Next try at {clock(job.next_try_at)}." if job.next_try_at else ""
    return " ".join(filter(None, [waits, since, again]))


def may_exist(unknown: int, resolve: str) -> str:
    """The warning about rows whose outcome is unknown. `resolve`: the command that resolves one."""
    one = unknown == 1
    return (
        f"{unknown:,} of these rows may already exist in the directory: "
        f"before {'it is' if one else 'they are'} uploaded again, look there and resolve "
        f"{'it' if one else 'each'} with `{resolve}`, or `retry` the job, which looks first."
    )


def state(job: Job) -> str:
    """The state in a few words."""
    if job.cancelling:
        return "cancelling"
    if job.outcome == "some_failed":
        return "partly created"
    if job.outcome in ("all_created", "all_created_after_correction"):
        return "completed" if job.activated or job.created_hospitals == 0 else "not activated"
    return {"pending": "waiting", "processing": "running"}.get(job.status, job.status)


def ending(job: Job) -> str:
    """One line for a job that has ended."""
    seconds = job.active_seconds or job.processing_time_seconds
    took = f"It took {duration(seconds)}." if seconds else ""
    of = f"It corrects job {job.corrects}." if job.corrects else ""
    by = f"Corrected by job {' and '.join(job.corrected_by)}." if job.corrected_by else ""
    said = f"{state(job).capitalize()}: {job.message.rstrip('.')}."
    return printable(" ".join(filter(None, [said, took, of, by, job.error])))
