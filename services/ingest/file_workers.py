"""Where files are read: tiny ones in the event loop, small ones in a thread, large ones in processes of their own."""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

#: To read a file of at most so many bytes takes less time than to start in a thread.
TINY_FILE_BYTES: Final = 8 * 1024
#: Reading a larger file would slow down other uploads of the same process.
LARGE_FILE_BYTES: Final = 512 * 1024
#: How many large files are read at a time. The others wait.
PROCESSES: Final = 2
#: On a busy machine small uploads and Kafka go first.
_NICENESS: Final = 5


class WorkerLost(RuntimeError):
    """The process that read the file died. The same request can be sent again."""


class FileWorkers:
    """Runs functions on files. The processes start with the first large file and stay until `close`."""

    def __init__(self) -> None:
        self._processes: ProcessPoolExecutor | None = None
        #: The processes end when it is closed.
        self._lifeline: Connection
        self._reading: set[Future[Any]] = set()

    async def run(self, size: int, work: Callable[P, T], *values: P.args, **names: P.kwargs) -> T:
        """What `work(*values, **names)` returns. `size`: of the file, in bytes. Raises WorkerLost."""
        if size <= TINY_FILE_BYTES:
            return work(*values, **names)
        if size <= LARGE_FILE_BYTES:
            return await asyncio.to_thread(work, *values, **names)
        if self._processes is None:
            self._processes = self._start()
        processes = self._processes
        try:
            reading = processes.submit(partial(work, *values, **names))
            self._reading.add(reading)
            reading.add_done_callback(self._reading.discard)
            return await asyncio.wrap_future(reading)
        except BrokenProcessPool as error:
            if self._processes is processes:
                self._processes = None
            raise WorkerLost("The process that read the file died.") from error

    def close(self) -> None:
        """Ends the processes, even in the middle of a file."""
        if self._processes is None:
            return
        if self._reading:
            self._lifeline.close()
        self._processes.shutdown(cancel_futures=True)
        self._lifeline.close()
        self._processes = None

    def _start(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        reading_end, self._lifeline = context.Pipe(duplex=False)
        return ProcessPoolExecutor(PROCESSES, context, initializer=_start_worker, initargs=(reading_end,))


def _start_worker(lifeline: Connection) -> None:
    """Ctrl-C is handled by the service alone. A worker ends with the service, even when that was killed."""
    os.nice(_NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_service, args=(lifeline,), daemon=True).start()


def _exit_with_service(lifeline: Connection) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel, lifeline])
        os._exit(1)
