"""All services behind the origin, as processes that are forked: much cheaper than `make run`."""

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from deploy.local.ports import free_port
from tests.support.forked import Forked

KEY = "a-key-of-the-tests"
_MODULES = {
    "directory": "deploy.local.sandbox",
    "ingest": "services.ingest",
    "status": "services.status",
    "processor": "services.processor",
    "origin": "deploy.origin",
}


@dataclass(frozen=True)
class WholeSystem:
    """Where each part listens, by its name, and its log."""

    urls: dict[str, str]
    folder: Path

    @property
    def url(self) -> str:
        """The origin's address."""
        return self.urls["origin"]

    def log(self, name: str) -> str:
        """What a part has logged so far."""
        return (self.folder / f"{name}.log").read_text()


@contextmanager
def whole_system(bootstrap: str, prefix: str, folder: Path, **environment: str) -> Iterator[WholeSystem]:
    """Yields when all are ready. KEY is the key of the tenant `north`; `environment` is for all of them."""
    ports = {name: free_port() for name in _MODULES}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    common = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "OTEL_"))},
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "KAFKA_TOPIC_PREFIX": prefix,
        "HOSPITAL_API_BASE_URL": urls["directory"],
        "INGEST_DATABASE_URL": f"sqlite:///{folder / 'ingest.db'}",
        "STATUS_DATABASE_URL": f"sqlite:///{folder / 'status.db'}",
        "API_KEYS": f"north:{hashlib.sha256(KEY.encode()).hexdigest()}",
        "RATE_LIMIT_REQUESTS": "0",
        "SANDBOX_PORT": str(ports["directory"]),
        "ORIGIN_PORT": str(ports["origin"]),
        **{f"{name.upper()}_URL": urls[name] for name in ("ingest", "status", "processor")},
        **environment,
    }
    with ExitStack() as stack:
        for name, module in _MODULES.items():
            variables = common | {"HTTP_PORT": str(ports[name])}
            stack.callback(Forked(module, environment=variables, log=folder / f"{name}.log").kill)
        system = WholeSystem(urls, folder)
        _wait_until_ready(system)
        yield system


def _wait_until_ready(system: WholeSystem, seconds: float = 60) -> None:
    deadline = monotonic() + seconds
    while (missing := _missing(system.url)) is not None:
        logs = {name: system.log(name)[-1_000:] for name in _MODULES}
        assert monotonic() < deadline, f"not ready: {missing}\n{logs}"
        sleep(0.05)


def _missing(url: str) -> str | None:
    """What the origin lacks; None when all are ready."""
    try:
        urllib.request.urlopen(f"{url}/health/ready").close()
    except urllib.error.HTTPError as answer:
        return answer.read().decode()
    except OSError as error:
        return str(error)
    return None
