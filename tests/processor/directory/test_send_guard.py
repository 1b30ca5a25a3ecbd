"""The send guard in front of a call's first byte, on a real directory."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from deploy.local.sandbox.server import Sandbox
from services.processor.directory.client import DirectoryClient
from services.processor.directory.outcomes import ConnectionFailed, Created, NotSent, Unanswered
from services.processor.settings import DirectorySettings
from tests.support.processor.jobs import make_job

ROW = make_job(1).rows[0]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A directory that counts."""
    async with Sandbox("127.0.0.1", 0) as sandbox:
        yield sandbox


@pytest.fixture
async def directory(sandbox: Sandbox) -> AsyncIterator[DirectoryClient]:
    """A client of it, with one connection."""
    settings = DirectorySettings(hospital_api_base_url=sandbox.base_url, hospital_api_max_connections=1)
    async with DirectoryClient(settings) as directory:
        yield directory


async def hospitals_in(directory: DirectoryClient, batch_id: str) -> int:
    """How many hospitals there are in a batch."""
    listed = await directory.look_up(batch_id)
    return len(listed.hospitals)


async def test_a_guard_that_says_no_sends_nothing_and_the_next_call_goes_on(directory: DirectoryClient):
    """The one connection is not lost for ever."""
    assert await directory.create(ROW, lambda: False) == NotSent()
    assert await hospitals_in(directory, ROW.batch_id) == 0
    assert isinstance(await directory.create(ROW, lambda: True), Created)


async def test_a_guard_that_changes_between_connection_and_first_byte_sends_nothing(directory: DirectoryClient):
    """A process that was frozen there finds its permit ended when it thaws: aiohttp writes a body in a later turn."""
    assert await hospitals_in(directory, ROW.batch_id) == 0  # from now on there is an idle connection
    is_open = [True]
    asyncio.get_running_loop().call_soon(is_open.clear)
    assert await directory.create(ROW, lambda: bool(is_open)) == NotSent()
    assert await hospitals_in(directory, ROW.batch_id) == 0
    assert isinstance(await directory.create(ROW, lambda: True), Created)


async def test_whatever_goes_wrong_behind_the_guard_may_have_reached_the_directory(sandbox: Sandbox):
    """Also for calls that have no body."""
    settings = DirectorySettings(hospital_api_base_url=sandbox.base_url, hospital_api_timeout=0.2)
    sandbox.inject(latency_ms=2000)
    async with DirectoryClient(settings) as directory:
        assert isinstance(await directory.create(ROW, lambda: True), Unanswered)
        assert isinstance(await directory.activate(ROW.batch_id, lambda: True), Unanswered)
        assert await directory.activate(ROW.batch_id, lambda: False) == NotSent()


async def test_without_a_connection_the_guard_is_not_asked():
    """The connection was refused: certainly never sent."""
    settings = DirectorySettings(hospital_api_base_url="http://127.0.0.1:9")
    async with DirectoryClient(settings) as directory:
        assert isinstance(await directory.create(ROW, lambda: pytest.fail("asked")), ConnectionFailed)
