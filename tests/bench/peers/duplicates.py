"""How many hospitals each engine makes twice, and how many not at all, under the same faults.

`python -m tests.bench.peers.duplicates` runs all of them; name engines or faults to run some.
"""

import argparse
import asyncio
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.broker.kafka import Broker
from tests.bench.peers.counting_directory import CountingDirectory
from tests.bench.peers.engines import Engine, HospitalBulk, ParallelConsumer
from tests.bench.peers.jars import compile_peer, peer_class_path
from tests.support.servers import memory_dir

PROCESSES = 2
LATENCY_SECONDS = 0.3
#: Nothing was called for so long: it is over, or it never will be.
QUIET_SECONDS = 15.0
LONGEST_SECONDS = 300.0


@dataclass
class Run:
    """One engine under one fault."""

    engine: Engine
    broker: Broker
    directory: CountingDirectory
    folder: Path
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def start(self) -> asyncio.subprocess.Process:
        """One more process."""
        log = self.folder / f"{len(self.processes)}.log"
        process = await self.engine.start(self.broker.bootstrap, self.directory.url, log)
        self.processes.append(process)
        return process

    async def after(self, created: int) -> None:
        """Returns when so many hospitals have been created."""
        while self.directory.created.total() < created:  # noqa: ASYNC110 - it looks at a counter
            await asyncio.sleep(0.05)


async def _nothing(_run: Run, _rows: int) -> None:
    """No fault."""


async def _kill(run: Run, rows: int) -> None:
    """Three times one process is killed and started again."""
    for part in (1, 2, 3):
        await run.after(rows * part // 5)
        run.processes[-PROCESSES].kill()
        await run.start()


async def _freeze(run: Run, rows: int) -> None:
    """One process is frozen for longer than its session."""
    await run.after(rows // 4)
    run.processes[0].send_signal(signal.SIGSTOP)
    await asyncio.sleep(run.engine.session_seconds + 6)
    run.processes[0].send_signal(signal.SIGCONT)


async def _kill_broker(run: Run, rows: int) -> None:
    """The broker is killed and comes back 3 s later."""
    await run.after(rows // 4)
    run.broker.kill()
    await asyncio.sleep(3)
    await run.broker.start_async()


Fault = Callable[[Run, int], Awaitable[None]]
#: By name: what happens, and how many answers of a hundred are lost.
FAULTS: dict[str, tuple[Fault, float]] = {
    "none": (_nothing, 0.0),
    "kill": (_kill, 0.0),
    "freeze": (_freeze, 0.0),
    "lost": (_nothing, 5.0),
    "broker": (_kill_broker, 0.0),
}


async def measure(engine: Engine, name: str, rows: int, seed: int) -> str:
    """Runs one engine under one fault. Returns a line that tells how it went."""
    fault, lost = FAULTS[name]
    with tempfile.TemporaryDirectory(dir=memory_dir(), prefix="peers-") as folder:
        async with CountingDirectory(LATENCY_SECONDS, lost, seed) as directory:
            with Broker(Path(folder) / "kafka") as broker:
                run = Run(engine, broker, directory, Path(folder))
                await engine.prepare(broker.bootstrap, rows)
                began = time.monotonic()
                for _ in range(PROCESSES):
                    await run.start()
                faults = asyncio.create_task(fault(run, rows))
                await _until_quiet(directory, rows, faults)
                seconds = time.monotonic() - began
                for process in run.processes:
                    if process.returncode is None:
                        process.kill()
                    await process.wait()
        twice, missing = sum(count > 1 for count in directory.created.values()), rows - len(directory.created)
        return (
            f"{engine.name:26} {name:8} {rows} rows: {twice} created more than once "
            f"({directory.created.total() - len(directory.created)} too many), {missing} missing, "
            f"{seconds:.0f} s"
        )


async def _until_quiet(directory: CountingDirectory, rows: int, faults: "asyncio.Task[None]") -> None:
    """Returns when the faults are over and nothing has been called for a while."""
    calls, since, began = -1, time.monotonic(), time.monotonic()
    while time.monotonic() - began < LONGEST_SECONDS:
        await asyncio.sleep(0.5)
        if directory.calls != calls or not faults.done():
            calls, since = directory.calls, time.monotonic()
        elif time.monotonic() - since > QUIET_SECONDS * (1 if len(directory.created) == rows else 5):
            return


async def main() -> None:
    """Measures what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers.duplicates", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"engines (peer, ours) and faults ({', '.join(FAULTS)})")
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="peer-classes-") as classes:
        class_path = peer_class_path()
        compile_peer(class_path, Path(classes))
        engines: dict[str, Engine] = {"peer": ParallelConsumer(class_path, Path(classes)), "ours": HospitalBulk()}
        chosen = [
            engine
            for name, engine in engines.items()
            if name in options.names or not engines.keys() & set(options.names)
        ]
        for name in FAULTS:
            if name in options.names or not FAULTS.keys() & set(options.names):
                for engine in chosen:
                    print(await measure(engine, name, options.rows, options.seed), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
