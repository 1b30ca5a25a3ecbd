"""How many uploads are worked on, who waits for a slot, and what the others are told."""

import asyncio

import pytest

from services.ingest.publication.upload_budgets import UploadBudget
from services.ingest.upload.admission import Admission, AdmissionLimits
from services.ingest.upload.admission_queue import QueueLimits
from shared.runtime.http.answer_budget import ANSWER_SECONDS
from shared.runtime.http.problems import Problem

#: A wait of a twentieth of a second.
SHORT = QueueLimits(wait_seconds=0.05)


def admission(**limits) -> Admission:
    """An admission with these limits."""
    return Admission(AdmissionLimits(**{"queue": SHORT, **limits}))


def test_uploads_are_admitted_up_to_the_limit():
    """And again when one has left."""
    one = admission(uploads=1)
    with one.upload() as upload:
        upload.count()
        with pytest.raises(Problem), one.upload():
            pytest.fail("there was no room")

    with one.upload():
        pass


def test_an_upload_whose_client_is_silent_does_not_count():
    """Others take its place. It is told so when it goes on."""
    one = admission(uploads=1)
    with one.upload() as silent, one.upload() as other:
        silent.count()
        silent.discount()
        other.count()
        other.count()
        with pytest.raises(Problem) as refusal:
            silent.count()
        assert refusal.value.error_type == "busy"
        other.discount()
        silent.count()
    with one.upload() as upload:
        upload.count()


@pytest.mark.parametrize("kind", ["small", "large"])
async def test_there_are_so_many_slots(kind):
    """A slot that becomes free is used again."""
    slot = getattr(admission(small=1, large=1), kind)
    async with slot(UploadBudget(ANSWER_SECONDS)):
        with pytest.raises(Problem) as refusal:
            async with slot(UploadBudget(ANSWER_SECONDS)):
                pytest.fail("there was no slot")

    assert refusal.value.status == 503
    assert refusal.value.retry_after
    async with slot(UploadBudget(ANSWER_SECONDS)):
        pass


async def test_small_and_large_uploads_do_not_wait_for_each_other():
    """A small one takes a moment, a large one half a minute."""
    each = admission(small=1, large=1)
    async with each.large(UploadBudget(ANSWER_SECONDS)), each.small(UploadBudget(ANSWER_SECONDS)):
        pass


async def test_a_full_queue_takes_no_more():
    """Those at its end would wait for nothing but a refusal."""
    one = admission(small=1, queue=QueueLimits(wait_seconds=0.05, min_length=1, max_length=1))
    async with one.small(UploadBudget(ANSWER_SECONDS)):
        waiting = asyncio.create_task(used(one))
        await asyncio.sleep(0)
        with pytest.raises(Problem) as refusal, one.upload():
            pytest.fail("there was no room")
        with pytest.raises(Problem):
            await waiting

    assert refusal.value.error_type == "busy"
    with one.upload():
        pass


async def used(admission_: Admission) -> None:
    """A small slot, taken and given back."""
    async with admission_.small(UploadBudget(ANSWER_SECONDS)):
        pass
