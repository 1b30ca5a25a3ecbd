"""Ends aiokafka's clients whatever state they and the broker are in: no task and no socket is left.

aiokafka's own stop waits for what nobody answers (aiokafka #1101). It closes the connections last, and not at all when
what comes before fails. Whoever only cuts it off leaves tasks that go on, and connect anew for ever.

    stop(seconds)   what aiokafka does, for so long
    otherwise       no request is sent any more, no connection is opened, all sockets are closed, all tasks are ended
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final, NoReturn

import structlog

from shared.runtime.kafka.failures import ClientEnded
from shared.runtime.timeouts import detach

log = structlog.get_logger(__name__)

#: How long a client has to stop by itself.
STOP_SECONDS: Final = 5.0
#: How long its tasks are told to end. Nothing that they wait for needs an answer any more.
END_SECONDS: Final = 2.0
#: Between two times: the first time many of them still wait for something.
_CANCEL_SECONDS: Final = 0.1


Step = Callable[[], Coroutine[Any, Any, None]]


async def stop_client(stop: Step, seconds: float, end: Step) -> None:
    """Lets a client stop within so many seconds, or else ends it, within 2 s more. Never fails.

    It goes on when the caller is cancelled.
    """
    closing = asyncio.create_task(_stop_or_end(stop, seconds, end))
    detach(closing)
    await asyncio.shield(closing)


async def _stop_or_end(stop: Step, seconds: float, end: Step) -> None:
    task = asyncio.create_task(stop())
    detach(task)
    await asyncio.wait({task}, timeout=seconds)
    if task.done() and not task.cancelled() and task.exception() is None:
        return
    log.debug("client_not_stopped", reason=_reason(task))
    try:
        await end()
    except Exception as error:  # a new version of aiokafka: better a socket left than a caller stopped
        log.error("client_not_ended", exc_info=error)
    await end_tasks([task])


def _reason(task: "asyncio.Task[None]") -> str:
    if not task.done():
        return "it hangs"
    return "it was cancelled" if task.cancelled() else repr(task.exception())


async def end_producer(producer: Any) -> None:
    """Ends an AIOKafkaProducer. What was not acknowledged fails, also for those who wait for it."""
    error = ClientEnded("closed")
    cut_off(producer.client)
    producer._message_accumulator.fail_all(error)
    await end_tasks([producer.client._sync_task, producer._sender.sender_task])
    producer._message_accumulator.fail_all(error)  # what was to be sent again meanwhile
    if producer._txn_manager is not None:
        producer._txn_manager.fatal_error(error)


async def end_consumer(consumer: Any) -> None:
    """Ends an AIOKafkaConsumer, without leaving its group."""
    cut_off(consumer._client)
    coordinator, fetcher = consumer._coordinator, consumer._fetcher
    # It starts the others.
    await end_tasks([getattr(coordinator, "_coordination_task", None)])
    names = ("_heartbeat_task", "_commit_refresh_task", "_reset_committed_task")
    fetching = [] if fetcher is None else [fetcher._fetch_task, *fetcher._pending_tasks]
    await end_tasks([consumer._client._sync_task, *(getattr(coordinator, name, None) for name in names), *fetching])


async def end_client(client: Any) -> None:
    """Ends an AIOKafkaClient."""
    cut_off(client)
    await end_tasks([client._sync_task])


def cut_off(client: Any) -> None:
    """Closes all connections of an AIOKafkaClient at once. Whoever still wants to send hears an error."""
    client.send = client.bootstrap = _refuse
    client._get_conn = _no_connection
    # Nobody answers on a closed client: what waits for news of the cluster would wait for ever.
    client.force_metadata_update = _no_metadata
    if client._md_update_fut is not None and not client._md_update_fut.done():
        client._md_update_fut.set_result(False)
    connections, client._conns = client._conns, _Closed()
    client._conns.update(connections)


class _Closed(dict[Any, Any]):
    """The connections of a client that is cut off. One that was just being opened is closed too."""

    def __setitem__(self, name: Any, connection: Any) -> None:
        _abort(connection)
        super().__setitem__(name, connection)

    def update(self, connections: dict[Any, Any]) -> None:  # type: ignore[override]
        """Closes them."""
        for name, connection in connections.items():
            self[name] = connection


def _abort(connection: Any) -> None:
    """Closes the socket also when a frozen broker does not take what was written to it."""
    transport = getattr(connection._protocol, "_transport", None)
    connection.close()
    if transport is not None:
        transport.abort()


async def _refuse(*_: object, **__: object) -> NoReturn:
    raise ClientEnded("closed")


async def _no_connection(*_: object, **__: object) -> None:
    return None


def _no_metadata() -> "asyncio.Future[bool]":
    answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    answer.set_result(False)
    return answer


async def end_tasks(tasks: Iterable["asyncio.Task[Any] | None"]) -> None:
    """Cancels them until they have ended, for 2 s at most: one cancellation may be lost, or waited through."""
    some = {task for task in tasks if task is not None}
    for task in some:
        detach(task)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + END_SECONDS
    while (running := [task for task in some if not task.done()]) and loop.time() < deadline:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=_CANCEL_SECONDS)
