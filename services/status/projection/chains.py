"""Chains of corrections in a transaction: which jobs belong together, which of their rows are corrected, what follows.

What is open in a job depends on others, which other replicas may project. So a transaction locks a chain as a whole,
and whoever writes last sees all of it. It learns only while it runs which jobs these are: then it begins again.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.status.model.corrections import AnswerOutcome, Chains, Link, NamedRows
from services.status.model.job_facts import Jobs
from services.status.model.job_state import DerivedState, DueCommand
from services.status.model.row_results import CORRECTED, RowStatus
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
    closed = found.closed()
    settled = {}
    for job_id, state in states.items():
        if job_id not in closed or state.outcome == JobOutcome.ALL_CREATED.value:
            known[job_id] = replace(known[job_id], filled_batches=None)
        else:
            if known[job_id].filled_batches is None:
                filled = await _filled_batches(connection, job_id)
                known[job_id] = replace(known[job_id], filled_batches=filled)
            state = _closed(known, job_id, state, is_whole=found.root(job_id) in closed)
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
    counts: Counter[int] = Counter()
    for status in _NOT_CREATED:
        after: int | None = 0
        while after is not None and named:
            page = await _not_created(connection, job_id, status, after)
            counts.update(round_ for row, round_ in page if row in named)
            after = page[-1][0] if len(page) == _PAGE_ROWS else None
    of_job = tallies.c.job_id == job_id, tallies.c.status == CORRECTED
    await connection.execute(delete(tallies).where(*of_job))
    values: list[Values] = [
        {"job_id": job_id, "round": round_, "status": CORRECTED, "hospitals": count} for round_, count in counts.items()
    ]
    await write(connection, tallies, values)


async def _not_created(connection: AsyncConnection, job_id: str, status: str, after: int) -> list[tuple[int, int]]:
    statement = (
        select(rows.c.row, rows.c.round)
        .where(rows.c.job_id == job_id, rows.c.status == status, rows.c.status != RowStatus.CREATED.value)
        .where(rows.c.row > after)
        .order_by(rows.c.row)
        .limit(_PAGE_ROWS)
    )
    return [(row, round_) for row, round_ in await connection.execute(statement)]


async def _connected(connection: AsyncConnection, job_ids: Collection[str]) -> dict[str, Link]:
    """All links that these jobs are connected by, also over others, by the job that corrects."""
    found: dict[str, Link] = {}
    seen: set[str] = set()
    ends = set(job_ids)
    while ends:
        seen |= ends
        at_an_end = or_(corrections.c.job_id.in_(ends), corrections.c.corrects.in_(ends))
        statement = select(corrections.c.job_id, corrections.c.corrects, corrections.c.tenant).where(at_an_end)
        found |= {record.job_id: Link(*record) for record in await connection.execute(statement)}
        ends = {end for link in found.values() for end in (link.job_id, link.corrects)} - seen
    return found


async def _filled_batches(connection: AsyncConnection, job_id: str) -> int:
    """How many batches of the job hold a hospital. The directory need not know the others."""
    filled = select(func.count(rows.c.batch_id.distinct())).where(
        rows.c.job_id == job_id, rows.c.status == RowStatus.CREATED.value
    )
    return int((await connection.execute(filled)).scalar_one())


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
