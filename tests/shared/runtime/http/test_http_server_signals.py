"""What comes after serving is still done when a signal ended it."""

import signal
import subprocess
import sys

import pytest

SERVICE = """
import asyncio
from contextlib import asynccontextmanager
from fastapi import FastAPI
from shared.runtime.http.http_server import bind, serve
from shared.runtime.settings import HttpSettings

@asynccontextmanager
async def lifespan(app):
    print("up", flush=True)
    yield

async def main():
    await serve(FastAPI(lifespan=lifespan), bind(HttpSettings()))
    print("handed over", flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_serving_and_not_the_process(number):
    """The processor hands its lanes over when it has served: were it gone by then, its successor would have to wait."""
    with subprocess.Popen([sys.executable, "-c", SERVICE], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "up\n":
            assert process.poll() is None
        process.send_signal(number)
        assert process.stdout.read() == "handed over\n"
        assert process.wait(10) == 0
