"""What `make run` starts, and where, follows from the environment."""

import socket

import pytest

from deploy.local.processes import managed_processes
from deploy.local.run_lock import AlreadyRunning, hold_run_lock
from deploy.local.run_settings import RunSettings
from deploy.local.supervisor.not_started import NotStarted


@pytest.fixture
def taken():
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def free(tmp_path, **changes):
    """Settings for a run of its own."""
    names = [name for name in RunSettings.model_fields if name.endswith("_port")]
    own = {"kafka_bootstrap_servers": None, "hospital_api_base_url": None}
    return RunSettings(**{**dict.fromkeys(names, 0), **own, "local_dir": tmp_path, **changes})


def names(settings):
    return [process.name for row in managed_processes(settings.with_free_ports()) for process in row]


def test_everything_is_started_where_nothing_is_given(tmp_path):
    """Kafka and the sandbox first."""
    assert names(free(tmp_path)) == ["kafka", "sandbox", "ingest", "status", "processor", "origin"]


def test_a_kafka_that_is_given_is_used_and_none_started(tmp_path):
    """KAFKA_BOOTSTRAP_SERVERS; the port of our own may then be taken."""
    assert "kafka" not in names(free(tmp_path, kafka_bootstrap_servers="k:9092"))


def test_a_directory_that_is_given_is_used_and_no_sandbox_started(tmp_path, taken):
    """HOSPITAL_API_BASE_URL; the sandbox's port may then be taken."""
    settings = free(tmp_path, hospital_api_base_url="https://hospitals.example", sandbox_port=taken)
    assert "sandbox" not in names(settings)


def test_all_taken_ports_are_named_at_once(tmp_path, taken):
    """Nobody likes to learn of them one by one."""
    with pytest.raises(NotStarted, match=r"ORIGIN_PORT.*KAFKA_PORT"):
        free(tmp_path, origin_port=taken, kafka_port=taken).with_free_ports()


def test_a_service_whose_usual_port_is_taken_gets_another(tmp_path, taken):
    """Nobody calls it by its number: the origin knows."""
    assert free(tmp_path, ingest_port=taken).with_free_ports().ingest_port not in (0, taken)


def test_a_free_port_is_kept(tmp_path, free_port):
    """What was asked for is what listens."""
    assert free(tmp_path, origin_port=free_port).with_free_ports().origin_port == free_port


def test_a_second_run_in_the_same_place_is_refused_and_in_another_is_not(tmp_path):
    """The first lets go when it ends."""
    here, there = tmp_path / "a", tmp_path / "b"
    with (
        hold_run_lock(here),
        hold_run_lock(there),
        pytest.raises(AlreadyRunning, match="Already running"),
        hold_run_lock(here),
    ):
        pass
    with hold_run_lock(here):
        pass
