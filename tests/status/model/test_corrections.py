"""Which jobs of a chain of corrections have nothing open."""

import pytest

from services.status.model.corrections import Chains, Link
from services.status.model.job_facts import JobFacts
from services.status.model.job_state import derive_state
from services.status.model.row_results import CORRECTED, RowStatus
from shared.contract.events import JobOutcome

LENGTH = 20_000


def names(length):
    return [f"job-{number}" for number in range(length)]


def chain(links, jobs, open_in=()):
    """Jobs of one row each, which failed; all of them say that it is corrected but those in `open_in`."""
    facts = {
        job_id: JobFacts(
            job_id, tenant="north", total_hospitals=1, finished_round=1, finished_outcome=JobOutcome.NONE_CREATED.value
        )
        for job_id in jobs
    }
    closed = {(1, RowStatus.FAILED.value): 1, (1, CORRECTED): 1}
    states = {
        job_id: derive_state(facts[job_id], closed if job_id not in open_in else {(1, RowStatus.FAILED.value): 1})
        for job_id in jobs
    }
    return Chains(facts, states, [Link(job_id, corrects, "north") for job_id, corrects in links])


def test_a_chain_may_be_long():
    """Whoever uploads correction upon correction must not stop what all tenants see."""
    jobs = names(LENGTH)
    found = chain([*zip(jobs[1:], jobs, strict=False)], jobs)
    assert found.closed() == set(jobs)
    assert found.roots() == dict.fromkeys(jobs, jobs[0])


def test_what_is_open_at_the_end_of_a_long_chain_is_open_in_all_before():
    """And in nothing behind it."""
    jobs = names(LENGTH)
    found = chain([*zip(jobs[1:], jobs, strict=False)], jobs, open_in={jobs[-2]})
    assert found.closed() == {jobs[-1]}


@pytest.mark.parametrize(
    ("open_in", "closed"), [((), set("abcd")), (("d",), set("c")), (("c",), set("bd")), (("a",), set("bcd"))]
)
def test_a_job_with_two_corrections_needs_both(open_in, closed):
    """`b` and `c` correct `a`, `d` corrects `b`."""
    links = [("b", "a"), ("c", "a"), ("d", "b")]
    assert chain(links, "abcd", open_in).closed() == closed


@pytest.mark.parametrize(("open_in", "closed"), [((), {"a", "b", "c"}), (("b",), set())])
def test_a_forged_circle_ends(open_in, closed):
    """Each corrects the next one; `c` corrects `a`."""
    links = [("a", "b"), ("b", "a"), ("c", "a")]
    assert chain(links, "abc", open_in).closed() == closed | ({"c"} if open_in else set())
