"""Where files are read: tiny ones at once, small ones in a thread, large ones in processes. So the API stays quick."""

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

#: A file of at most so many bytes is read sooner than a thread gets its turn.
TINY_FILE_BYTES: Final = 8 * 1024
#: Files of more bytes than this take long enough to be felt by others.
LARGE_FILE_BYTES: Final = 512 * 1024
#: Large files that are read at a time; the others wait their turn.
PROCESSES: Final = 2
#: Where all processors are busy, small uploads and Kafka go first: a large file takes its time anyway.
_NICENESS: Final = 5


class WorkerLost(RuntimeError):
    """The process that read the file died: the same request can be sent again."""


class Workers:
    """Runs functions on files. Processes start with the first large file and stay."""

    def __init__(self) -> None:
        self._processes: ProcessPoolExecutor | None = None
        #: They end when it is closed.
        self._line: Connection
        self._reading: set[Future[Any]] = set()

    async def run(self, size: int, work: Callable[P, T], *values: P.args, **names: P.kwargs) -> T:
        """What `work(*values)` returns. `size` is the file's, in bytes. Raises WorkerLost."""
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
        """Ends the processes, also in the middle of a file: nobody wants it any more."""
        if self._processes is None:
            return
        if self._reading:
            self._line.close()
        self._processes.shutdown(cancel_futures=True)
        self._line.close()
        self._processes = None

    def _start(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        heard, self._line = context.Pipe(duplex=False)
        return ProcessPoolExecutor(PROCESSES, context, initializer=_begin, initargs=(heard,))


def _begin(line: Connection) -> None:
    """Ctrl-C is the service's to handle; a worker ends with the service, however that ended."""
    os.nice(_NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_service, args=(line,), daemon=True).start()


def _end_with_the_service(line: Connection) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel, line])
        os._exit(1)
