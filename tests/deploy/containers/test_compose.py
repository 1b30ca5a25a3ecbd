"""docker-compose.yml: what can be known of it without starting it."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.housekeeping.deletion import HousekeepingSettings
from deploy.origin.settings import OriginSettings
from services.ingest.settings import IngestSettings
from services.processor.settings import ProcessorSettings
from services.status.settings import StatusSettings

ROOT = Path(__file__).parents[3]
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
OURS = {name for name, service in SERVICES.items() if service["image"].startswith("hospital-bulk-")}
ONCE = {"topics", "migrate-ingest", "migrate-status", "housekeeping"}
SETTINGS = {
    "ingest": IngestSettings,
    "processor": ProcessorSettings,
    "status": StatusSettings,
    "origin": OriginSettings,
    "housekeeping": HousekeepingSettings,
}
# Each process makes a name of its own.
NOT_FOR_COMPOSE = {"INSTANCE_ID"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_image_is_ours_or_an_official_one_with_its_tag(name: str) -> None:
    """Nothing is pulled that was not tried."""
    assert name in OURS or SERVICES[name]["image"] in {"apache/kafka:4.1.0", "postgres:17", "nginx:stable"}


@pytest.mark.parametrize("name", sorted(OURS))
def test_our_images_are_built_here_and_never_looked_for_elsewhere(name: str) -> None:
    """Their names belong to nobody on the internet: pulling one would run a stranger's code."""
    assert SERVICES[name]["pull_policy"] == "build"
    assert SERVICES[name]["image"] == f"hospital-bulk-{SERVICES[name]['build']['target']}"


@pytest.mark.parametrize("name", sorted(set(SERVICES) - OURS))
def test_what_others_built_says_how_to_see_that_it_is_healthy(name: str) -> None:
    """`up --wait` waits for it; our own images bring their health check along."""
    assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", sorted(OURS))
def test_only_steps_that_end_have_no_health_check(name: str) -> None:
    """A step that has ended is not unhealthy; everything that stays is watched."""
    assert SERVICES[name].get("healthcheck", {}).get("disable", False) is (name in ONCE)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_what_stays_starts_again_by_itself_and_what_ends_does_not(name: str) -> None:
    """After a crash or a restart of the machine everything is there again; a migration runs once."""
    assert SERVICES[name]["restart"] == ("no" if name in ONCE else "unless-stopped")


@pytest.mark.parametrize("name", sorted({*OURS, "nginx"}))
def test_our_containers_write_nowhere_and_may_do_nothing_special(name: str) -> None:
    """A hole in one of them is worth as little as possible."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_container_has_a_limit_of_memory(name: str) -> None:
    """One that runs wild does not take the others with it."""
    assert SERVICES[name]["mem_limit"]


def test_the_memory_of_a_processor_fits_into_its_container() -> None:
    """It is stopped by its own limit, and never by that of the container."""
    mebibytes = int(SERVICES["processor"]["mem_limit"].removesuffix("m"))
    assert ProcessorSettings().processor_memory_mb * 10**6 * 4 / 3 <= mebibytes * 2**20


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_nothing_is_published_to_other_machines_unless_asked_for(name: str) -> None:
    """Only nginx can be, by PUBLISH_ON; there is no password on a new installation."""
    expected = "${PUBLISH_ON:-127.0.0.1}:" if name == "nginx" else "127.0.0.1:"
    assert all(port.startswith(expected) for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", ["ingest", "processor", "status"])
def test_services_can_be_scaled(name: str) -> None:
    """`--scale processor=3` needs names and ports that nobody fixed."""
    assert "container_name" not in SERVICES[name]
    assert "ports" not in SERVICES[name]


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_every_setting_of_a_service_can_be_set_from_outside(name: str) -> None:
    """A variable that compose does not pass on would be ignored without a word."""
    fixed_by_image = {"HTTP_HOST", "HTTP_PORT", "ORIGIN_HOST", "ORIGIN_PORT"}
    wanted = {field.upper() for field in SETTINGS[name].model_fields} - fixed_by_image - NOT_FOR_COMPOSE
    assert wanted - set(SERVICES[name]["environment"]) == set()


def test_services_wait_for_their_topics_and_tables() -> None:
    """A service never meets a broker without topics or a database without tables."""
    done = "service_completed_successfully"
    assert {name for name, need in SERVICES["ingest"]["depends_on"].items() if need["condition"] == done} == {
        "topics",
        "migrate-ingest",
    }
    assert {name for name, need in SERVICES["status"]["depends_on"].items() if need["condition"] == done} == {
        "topics",
        "migrate-status",
    }
    assert SERVICES["processor"]["depends_on"]["topics"]["condition"] == done


def test_the_sandbox_comes_only_when_asked_for_and_nothing_needs_it() -> None:
    """With a real directory there is no second one to send hospitals to by mistake."""
    assert SERVICES["sandbox"]["profiles"] == ["sandbox"]
    assert not any("sandbox" in service.get("depends_on", {}) for service in SERVICES.values())


def test_the_housekeeping_runs_only_when_asked_for() -> None:
    """Nothing is deleted because somebody has started everything."""
    assert SERVICES["housekeeping"]["profiles"] == ["housekeeping"]


def test_kafka_forgets_no_offsets_and_makes_no_topics_by_itself() -> None:
    """A group that was away for eight days goes on where it stopped; a topic has our configuration or is missing."""
    assert SERVICES["kafka"]["environment"]["KAFKA_OFFSETS_RETENTION_MINUTES"] == 2**31 - 1
    assert SERVICES["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_kafka_leaves_no_nameless_volumes_behind() -> None:
    """The official image declares three places; each is named or forgotten."""
    kafka = SERVICES["kafka"]
    places = {volume.partition(":")[2] for volume in kafka["volumes"]} | set(kafka["tmpfs"])
    assert places == {"/var/lib/kafka/data", "/etc/kafka/secrets", "/mnt/shared/config"}


@pytest.fixture
def docker_engine() -> None:
    """Skips where no Docker engine answers or compose is missing."""
    docker = shutil.which("docker")
    for question in (["info"], ["compose", "version"]):
        if docker is None or subprocess.run([docker, *question], capture_output=True, timeout=30).returncode:
            pytest.skip("no Docker engine with compose answers here")


@pytest.mark.usefixtures("docker_engine")
def test_docker_compose_accepts_the_file() -> None:
    """Docker's own parser accepts the file, with and without the sandbox."""
    for profile in ([], ["--profile", "sandbox"]):
        answer = subprocess.run(
            ["docker", "compose", *profile, "config", "--quiet"], cwd=ROOT, capture_output=True, text=True, timeout=30
        )
        assert answer.returncode == 0, answer.stderr
