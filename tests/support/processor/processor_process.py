"""A processor as a process that can be killed, frozen, and stopped; with what it has logged."""

import asyncio
import json
import os
import signal
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import aiohttp

from tests.support.forked import Forked


@dataclass
class Processor:
    """A processor process."""

    process: Forked
    log: Path

    def kill(self) -> None:
        self.process.kill()

    def freeze(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    async def stop(self, seconds: float = 20) -> None:
        """Asks it to stop, and asserts that it ended in order; kills it when it does not listen."""
        self.process.terminate()
        try:
            async with asyncio.timeout(seconds):
                await self.process.ended()
        except TimeoutError:
            self.process.kill()
            await self.process.ended()
            raise
        assert self.process.returncode == 0, f"ended with {self.process.returncode}, see {self.log}"

    async def die(self) -> None:
        """Kills it whatever state it is in."""
        self.process.kill()
        await self.process.ended()

    def lines(self) -> list[dict]:
        """What it has logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def logged(self, event: str) -> list[dict]:
        """Its log lines of one kind."""
        return [line for line in self.lines() if line["event"] == event]

    async def health(self) -> dict:
        """What it answers to `/health`."""
        [listening] = self.logged("listening")
        async with aiohttp.ClientSession() as session, session.get(f"{listening['url']}/health") as answer:
            return await answer.json()

    @property
    def alive(self) -> bool:
        """Whether the process runs, frozen or not."""
        return self.process.returncode is None

    def lanes(self) -> set[int]:
        """The partition indices that it owns and has taken over, as far as it has logged."""
        owned: set[int] = set()
        for line in self.lines():
            match line["event"]:
                case "lanes_assigned":
                    owned &= set(line["partitions"])
                case "lane_taken_over":
                    owned.add(line["partition"])
                case "lane_fenced" | "lane_indefinite" | "lane_stopped":
                    owned.discard(line["partition"])
        return owned


def wall_time(line: dict) -> float:
    """When a log line was written, in seconds of the wall clock."""
    return datetime.fromisoformat(line["timestamp"]).timestamp()
