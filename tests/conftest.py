"""The real things that tests run against: started when the first test asks for them, stopped when the run ends.

Runs side by side share nothing but the cache of jars; the processes of one run (pytest-xdist) share its servers.
"""

import gc
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from xdist.scheduler import LoadFileScheduling

from deploy.local import ports
from deploy.local.broker.jars import class_path, locked_jars
from deploy.local.broker.kafka import Broker
from deploy.local.paths import local_dir
from tests.support.servers import (
    KAFKA_IMAGE,
    POSTGRES_IMAGE,
    docker_has,
    memory_dir,
    private_broker,
    some_database,
    some_kafka,
    some_postgres,
)

# Nothing is garbage while everything is imported and collected; looking for it took a third of that time.
gc.disable()

# A busy machine is no reason for a property to fail.
hypothesis_settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("any-machine")

# Every database, broker and browser of the tests lives in temporary files, whoever makes them.
if "TMPDIR" not in os.environ and (memory := memory_dir()):
    os.environ["TMPDIR"] = tempfile.tempdir = memory

if side_by_side := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
    ports.keep_to(int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw")), side_by_side)

StartBroker = Callable[[], Broker]
PAGE = "tests/page/"
#: What only computes, long and in one file: last of all it would keep a single core busy.
COMPUTING = (PAGE, "tests/simulation/")
SHARED_SERVERS = pytest.StashKey[dict[str, str]]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tests side by side share servers that the run's first process starts: a broker for each would cost a minute."""
    config = node.config
    if SHARED_SERVERS not in config.stash:
        servers = ExitStack()
        config.add_cleanup(servers.close)
        config.stash[SHARED_SERVERS] = {
            "kafka": servers.enter_context(some_kafka()),
            "postgres": servers.enter_context(some_postgres()),
        }
    node.workerinput |= config.stash[SHARED_SERVERS]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What computes goes first, beside the chaos, which is next and mostly waits."""
    items.sort(key=lambda item: not item.nodeid.startswith(COMPUTING))


class FileByFile(LoadFileScheduling):
    """A file's tests run in one process, and so do all of the page's: each process would start a browser of its own."""

    def _split_scope(self, nodeid: str) -> str:
        return PAGE if nodeid.startswith(PAGE) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileByFile | None:
    """Instead of pytest-xdist's `--dist=loadfile`."""
    return FileByFile(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_finish(session: pytest.Session) -> None:
    """Downloads what the collected tests need, in sight and before the time-out of the first one begins."""
    gc.freeze()
    gc.enable()
    if session.config.option.collectonly:
        return
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    with session.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        if "postgres_server" in wanted:
            docker_has(POSTGRES_IMAGE)
        if "own_broker" in wanted or ("kafka_bootstrap" in wanted and not docker_has(KAFKA_IMAGE)):
            class_path(local_dir() / "jars", locked_jars())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line per promise that chaos could not break, with its figures, from whichever process proved it."""
    passed = terminalreporter.stats.get("passed", [])
    if lines := [line for report in passed for name, line in report.user_properties if name == "kept"]:
        terminalreporter.section("promises kept")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def kafka_bootstrap(pytestconfig: pytest.Config) -> Iterator[str]:
    """host:port of the run's broker, shared by all tests: keep apart with `topic_prefix`, never stop it."""
    with running(pytestconfig, "kafka", some_kafka) as bootstrap:
        yield bootstrap


@pytest.fixture
def topic_prefix() -> str:
    """KAFKA_TOPIC_PREFIX for one test: nobody else uses it on the shared broker."""
    return f"t{uuid.uuid4().hex[:8]}."


@pytest.fixture
def own_broker() -> Iterator[StartBroker]:
    """A factory of started brokers that a test may stop, start, kill, pause and resume; each keeps its port."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(private_broker())


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> Iterator[str]:
    """The URL of the run's PostgreSQL, its administrative database."""
    with running(pytestconfig, "postgres", some_postgres) as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """postgresql://… of an empty database for one test, dropped afterwards whoever is still connected."""
    with some_database(postgres_server) as url:
        yield url


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    return ports.free_port()


def running(
    config: pytest.Config, name: str, start: Callable[[], AbstractContextManager[str]]
) -> AbstractContextManager[str]:
    """Where the run's server is: the one that all its processes share, else one that is started now."""
    shared = getattr(config, "workerinput", {}).get(name)
    return nullcontext(shared) if shared else start()
