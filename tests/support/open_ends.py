"""What this process holds open, and what it complains of, so that nothing of a client is left unseen."""

import asyncio
import gc
import json
import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.support.until import until


class Complaints(logging.Handler):
    """Tracebacks in the log, and what asyncio was told of: errors that nobody asked for, callbacks that failed."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps what has a traceback. Errors in one line are aiokafka's way to say that the broker does not answer."""
        if record.exc_info and record.exc_info[0] is not None:
            self.found.append(self.format(record))

    def told(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """For asyncio."""
        origin = context.get("task") or context.get("future") or context.get("handle")
        trace = "".join(traceback.format_exception(error)) if (error := context.get("exception")) else ""
        self.found.append(f"{context['message']}: {origin!r}\n{trace}")


@contextmanager
def no_complaints() -> Iterator[None]:
    """Nothing inside is complained of, nor when what is left of it is collected."""
    complaints = Complaints()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(complaints.told)
    logging.getLogger().addHandler(complaints)
    try:
        yield
        gc.collect()
    finally:
        logging.getLogger().removeHandler(complaints)
        loop.set_exception_handler(None)
    assert complaints.found == [], "\n".join(complaints.found)


def tracebacks(log: Path) -> list[str]:
    """Those that a service wrote to its log. aiokafka writes some of its own when a broker is not itself."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [
        line["exception"]
        for line in lines
        if "exception" in line and not str(line.get("logger")).startswith("aiokafka.")
    ]


def held() -> tuple[int, int]:
    """The tasks and the sockets of this process."""
    return len(asyncio.all_tasks()), len(psutil.Process().net_connections())


async def is_left(before: tuple[int, int], seconds: float = 20) -> None:
    """Waits until no more tasks and sockets are left than before; shows them when they are."""
    try:
        await until("all tasks have ended, all sockets are closed", lambda: _within(held(), before), seconds)
    except AssertionError:
        print(before, held(), *asyncio.all_tasks(), *psutil.Process().net_connections(), sep="\n")
        raise


def _within(now: tuple[int, int], before: tuple[int, int]) -> bool:
    return now[0] <= before[0] and now[1] <= before[1]
