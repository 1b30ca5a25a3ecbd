"""Chains of corrections in a transaction: which jobs belong together, which of their rows are corrected, what follows.

What is open in a job depends on others, which other replicas may project. So a transaction locks a chain as a whole,
and whoever writes last sees all of it. It learns only while it runs which jobs these are: then it begins again.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Select, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.status.model.corrections import AnswerOutcome, Chains, Link, NamedRows
from services.status.model.job_facts import Jobs
from services.status.model.job_state import DerivedState, DueCommand
from services.status.model.row_results import CORRECTED, RowStatus, open_code
from services.status.projection.event_batch import PositionedEvent
from services.status.tables.bulk_writes import Values, write
from services.status.tables.definitions import corrections, rows, tallies
from shared.contract.events import JobAccepted, JobOutcome

_PAGE_ROWS = 20_000
_NOT_CREATED = (RowStatus.FAILED.value, RowStatus.UNPROCESSED.value)

States = dict[str, DerivedState]


class ChainFound(Exception):
    """Begin the transaction again, with these jobs locked as well."""

    def __init__(self, members: Collection[str]) -> None:
        super().__init__(f"{len(members)} jobs belong together")
        self.members = members


@dataclass(frozen=True, slots=True)
class LockedChains:
    """The links of the locked jobs, those among them that this transaction makes, and what was valid before it."""

    links: list[Link]
    new: list[Values]
    joined_before: Mapping[str, frozenset[str]]
    named: Mapping[str, NamedRows]


async def load(
    connection: AsyncConnection, locked: Collection[str], known: Jobs, events: Iterable[PositionedEvent]
) -> LockedChains:
    """The chains of the locked jobs. Raises ChainFound when jobs belong to them that are not locked."""
    new = [_values(event) for _, _, event in events if isinstance(event, JobAccepted) and event.corrects is not None]
    ends = {end for link in new for end in (link["job_id"], link["corrects"])}
    stored = await _connected(connection, {*locked, *ends})
    links = stored | {link["job_id"]: _link(link) for link in new if link["job_id"] not in stored}
    members = ends | {end for link in links.values() for end in (link.job_id, link.corrects)}
    if not members <= set(locked):
        raise ChainFound(members)
    joined = joined_by_job(stored.values(), known)
    return LockedChains(list(links.values()), new, joined, await named_rows(connection, joined) if joined else {})


async def write_links(connection: AsyncConnection, chains: LockedChains, known: Jobs) -> None:
    """Keeps the new links. Jobs that have other corrections now have their corrected rows counted anew."""
    await write(connection, corrections, chains.new)
    joined = joined_by_job(chains.links, known) if chains.links else {}
    changed = {job_id for job_id, by in joined.items() if by != chains.joined_before.get(job_id)}
    for job_id, named in (await named_rows(connection, {each: joined[each] for each in changed})).items():
        await count_corrected(connection, job_id, named)


async def settle(connection: AsyncConnection, known: Jobs, states: States, links: Collection[Link]) -> States:
    """The states with what follows from the other jobs of each chain. Changes `known` where batches were counted."""
    if not links:
        return states
    found = Chains(known, states, links)
    closed, roots = found.closed(), found.roots()
    corrected = {job_id for job_id in closed if states[job_id].outcome != JobOutcome.ALL_CREATED.value}
    filled = await _filled_batches(connection, {each for each in corrected if known[each].filled_batches is None})
    settled = {}
    for job_id, state in states.items():
        if job_id not in corrected:
            known[job_id] = replace(known[job_id], filled_batches=None)
        else:
            if known[job_id].filled_batches is None:
                known[job_id] = replace(known[job_id], filled_batches=filled.get(job_id, 0))
            state = _closed(known, job_id, state, is_whole=roots[job_id] in closed)
        settled[job_id] = state
    return settled


def _closed(known: Jobs, job_id: str, state: DerivedState, *, is_whole: bool) -> DerivedState:
    """A job of which nothing is open. `is_whole`: nor is anything of its chain, so that its batches are activated."""
    facts = known[job_id]
    filled = facts.filled_batches or 0
    return replace(
        state,
        outcome=AnswerOutcome.ALL_CREATED_AFTER_CORRECTION.value,
        activated=0 < filled <= facts.batches_activated,
        due_command=DueCommand.ACTIVATE.value if is_whole and facts.activations_requested < filled else None,
    )


def joined_by_job(links: Iterable[Link], known: Jobs) -> dict[str, frozenset[str]]:
    """Which jobs correct each of the known jobs."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for link in links:
        if link.joins(known.get(link.corrects)):
            found[link.corrects].add(link.job_id)
    return {job_id: frozenset(by) for job_id, by in found.items()}


async def named_rows(connection: AsyncConnection, joined: Mapping[str, frozenset[str]]) -> dict[str, NamedRows]:
    """The rows that these corrections name, by the job that they correct."""
    if not joined:
        return {}
    wanted = {link for by in joined.values() for link in by}
    statement = select(corrections.c.job_id, corrections.c.named_rows).where(corrections.c.job_id.in_(wanted))
    texts = {job_id: text for job_id, text in await connection.execute(statement)}  # noqa: C416 - rows, not pairs
    return {job_id: NamedRows(texts[link] for link in sorted(by) if link in texts) for job_id, by in joined.items()}


async def count_corrected(connection: AsyncConnection, job_id: str, named: NamedRows) -> None:
    """Counts the job's corrected rows anew."""
    counts: Counter[tuple[int, str]] = Counter()
    for status in _NOT_CREATED:
        after: int | None = 0
        while after is not None and named:
            page = await _not_created(connection, job_id, status, after)
            counts.update((round_, open_code(code)) for row, round_, code in page if row in named)
            after = page[-1][0] if len(page) == _PAGE_ROWS else None
    of_job = tallies.c.job_id == job_id, tallies.c.status.startswith(CORRECTED)
    await connection.execute(delete(tallies).where(*of_job))
    values: list[Values] = [
        {"job_id": job_id, "round": round_, "status": CORRECTED + code, "hospitals": count}
        for (round_, code), count in counts.items()
    ]
    await write(connection, tallies, values)


async def _not_created(connection: AsyncConnection, job_id: str, status: str, after: int) -> list[tuple[int, int, str]]:
    statement = (
        select(rows.c.row, rows.c.round, rows.c.error_code)
        .where(rows.c.job_id == job_id, rows.c.status == status, rows.c.status != RowStatus.CREATED.value)
        .where(rows.c.row > after)
        .order_by(rows.c.row)
        .limit(_PAGE_ROWS)
    )
    return [tuple(record) for record in await connection.execute(statement)]


async def _connected(connection: AsyncConnection, job_ids: Collection[str]) -> dict[str, Link]:
    """All links that these jobs are connected by, also over others, by the job that corrects."""
    found = await _links(connection, or_(corrections.c.job_id.in_(job_ids), corrections.c.corrects.in_(job_ids)))
    if ends := {end for link in found.values() for end in (link.job_id, link.corrects)} - set(job_ids):
        found |= await _links(connection, corrections.c.job_id.in_(_reached(ends)))
    return found


def _reached(ends: Collection[str]) -> Select[str]:
    """The links that can be reached from these jobs, forwards and backwards. A link has the name of its own job."""
    at_an_end = or_(corrections.c.job_id.in_(ends), corrections.c.corrects.in_(ends))
    reached = select(corrections.c.job_id, corrections.c.corrects).where(at_an_end).cte("reached", recursive=True)
    following = corrections.alias()
    touching = or_(
        following.c.job_id == reached.c.corrects,
        following.c.corrects == reached.c.job_id,
        following.c.corrects == reached.c.corrects,
    )
    further = select(following.c.job_id, following.c.corrects).join_from(reached, following, touching)
    return select(reached.union(further).c.job_id)


async def _links(connection: AsyncConnection, wanted: ColumnElement[bool]) -> dict[str, Link]:
    statement = select(corrections.c.job_id, corrections.c.corrects, corrections.c.tenant).where(wanted)
    return {record.job_id: Link(*record) for record in await connection.execute(statement)}


async def _filled_batches(connection: AsyncConnection, job_ids: Collection[str]) -> dict[str, int]:
    """How many batches of each job hold a hospital, if any do. The directory need not know the others."""
    if not job_ids:
        return {}
    filled = (
        select(rows.c.job_id, func.count(rows.c.batch_id.distinct()))
        .where(rows.c.job_id.in_(job_ids), rows.c.status == RowStatus.CREATED.value)
        .group_by(rows.c.job_id)
    )
    return {job_id: count for job_id, count in await connection.execute(filled)}  # noqa: C416 - rows, not pairs


def _values(event: JobAccepted) -> Values:
    return {
        "job_id": event.job_id,
        "corrects": event.corrects,
        "tenant": event.tenant,
        "named_rows": event.corrected_rows,
        "unmatched": not event.corrected_rows,
    }


def _link(values: Values) -> Link:
    return Link(values["job_id"], values["corrects"], values["tenant"])
