"""deploy/kubernetes: what can be known of it without a cluster, and that it says what compose and the images say."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from deploy.housekeeping.deletion import HousekeepingSettings
from deploy.origin.settings import OriginSettings
from services.ingest.settings import IngestSettings
from services.processor.assignment.hand_overs import DRAIN_MARGIN_SECONDS
from services.processor.assignment.lane_consumer import LEAVING_CALLS
from services.processor.settings import ProcessorSettings
from services.status.settings import StatusSettings
from shared.runtime.http.http_server import GRACEFUL_SHUTDOWN_SECONDS

ROOT = Path(__file__).parents[3]
KUBERNETES = ROOT / "deploy" / "kubernetes"
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
SETTINGS = {
    "ingest": IngestSettings,
    "processor": ProcessorSettings,
    "status": StatusSettings,
    "origin": OriginSettings,
    "housekeeping": HousekeepingSettings,
}
#: What nginx's start.sh is told.
NGINX = {"MAX_UPLOAD_BYTES", "NAMESPACE", "SERVICE_DOMAIN"}


def documents(folder: str) -> list[dict[str, Any]]:
    """Every object of a folder."""
    files = sorted((KUBERNETES / folder).glob("*.yaml"))
    return [document for file in files for document in yaml.safe_load_all(file.read_text())]


BASE = documents("base")


def pod(spec: dict[str, Any]) -> dict[str, Any] | None:
    """The pods that something makes, None when it makes none."""
    if "jobTemplate" in spec:
        return pod(spec["jobTemplate"]["spec"])
    made: dict[str, Any] | None = spec.get("template", {}).get("spec")
    return made


PODS = {each["metadata"]["name"]: made for each in BASE if (made := pod(each.get("spec", {})))}
DEPLOYMENTS = {each["metadata"]["name"]: each["spec"] for each in BASE if each["kind"] == "Deployment"}
SERVICES = {each["metadata"]["name"]: each["spec"] for each in BASE if each["kind"] == "Service"}
CONTAINERS = {
    container["name"]: container
    for pod in PODS.values()
    for container in (*pod.get("initContainers", []), *pod["containers"])
}
[KUSTOMIZATION] = [each for each in BASE if each["kind"] == "Kustomization"]
[EXAMPLE] = [each for each in documents("example") if each["kind"] == "Kustomization"]
#: Set on the command line of the image, and so not a setting of whoever installs it.
FIXED_BY_IMAGE = {"HTTP_HOST", "HTTP_PORT", "ORIGIN_HOST", "ORIGIN_PORT"}


def known_settings(image: str) -> set[str]:
    """The variables that a service of ours reads."""
    fields = {name.upper() for name in SETTINGS[image.removeprefix("hospital-bulk-")].model_fields}
    return fields - FIXED_BY_IMAGE


def literals(kustomization: dict[str, Any]) -> dict[str, str]:
    """The settings that stand in it."""
    [generator] = [each for each in kustomization["configMapGenerator"] if each["name"] == "settings"]
    return dict(literal.split("=", 1) for literal in generator["literals"])


def secrets() -> dict[str, str]:
    """The example's secrets."""
    lines = (KUBERNETES / "example" / "secrets.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def stage(image: str) -> str:
    """The lines of the image's target in the Dockerfile."""
    return DOCKERFILE.partition(f"FROM runtime AS {image.removeprefix('hospital-bulk-')}\n")[2].partition("\nFROM")[0]


@pytest.mark.parametrize("name", sorted(CONTAINERS))
def test_every_image_is_one_of_composes(name: str) -> None:
    """What was tried there is what runs here."""
    assert CONTAINERS[name]["image"] in {service["image"] for service in COMPOSE.values()}


@pytest.mark.parametrize("name", ["topics", "migrate-ingest", "migrate-status"])
def test_what_is_prepared_is_what_compose_prepares(name: str) -> None:
    """The same images with the same commands."""
    ours, theirs = CONTAINERS[name], COMPOSE[name]
    assert (ours["image"], ours["args"]) == (theirs["image"], theirs["command"])


def test_the_memory_of_a_processor_fits_into_its_container() -> None:
    """It is stopped by its own limit, and never by that of the container; what it may take is reserved."""
    given = int(literals(KUSTOMIZATION).get("PROCESSOR_MEMORY_MB", ProcessorSettings().processor_memory_mb)) * 10**6
    resources = CONTAINERS["processor"]["resources"]
    mebibytes = {kind: int(resources[kind]["memory"].removesuffix("Mi")) * 2**20 for kind in ("requests", "limits")}
    assert given <= mebibytes["requests"]
    assert given * 4 / 3 <= mebibytes["limits"]


@pytest.mark.parametrize("kustomization", [KUSTOMIZATION, EXAMPLE], ids=["base", "example"])
def test_no_setting_is_unknown(kustomization: dict[str, Any]) -> None:
    """A name that nobody reads would be ignored without a word."""
    known = set.union(*(known_settings(image) for image in SETTINGS))
    assert set(literals(kustomization)) - known == set()


@pytest.mark.parametrize("name", sorted(CONTAINERS))
def test_no_variable_of_a_container_is_unknown_to_it(name: str) -> None:
    """Each service is handed its own secrets, and no other's."""
    container = CONTAINERS[name]
    known = NGINX if name == "nginx" else known_settings(container["image"])
    assert {variable["name"] for variable in container["env"]} - known == set()


@pytest.mark.parametrize("name", ["ingest", "processor", "status", "housekeeping"])
def test_every_secret_setting_of_a_service_comes_from_the_secret(name: str) -> None:
    """None of them stands in the ConfigMap, which many may read."""
    fields = SETTINGS[name].model_fields.items()
    secret = {field.upper() for field, info in fields if SecretStr in (info.annotation, *_parts(info.annotation))}
    secret = (secret - {"KAFKA_SSL_KEY_PASSWORD"}) | {n for n in known_settings(name) if n.endswith("_DATABASE_URL")}
    given = CONTAINERS[name]["env"]
    assert {variable["name"] for variable in given} == secret
    for variable in given:
        reference = variable["valueFrom"]["secretKeyRef"]
        assert (reference["name"], reference["key"]) == ("secrets", variable["name"])
    assert not secret & {*literals(KUSTOMIZATION), *literals(EXAMPLE)}


def _parts(annotation: Any) -> tuple[Any, ...]:
    return getattr(annotation, "__args__", ())


def test_the_examples_settings_start_every_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its secrets, as the services themselves read them."""
    for name, value in {**literals(KUSTOMIZATION), **literals(EXAMPLE), **secrets()}.items():
        monkeypatch.setenv(name, value)
    for settings in (IngestSettings, ProcessorSettings, StatusSettings):
        settings()
    assert [key.tenant for key in IngestSettings().tenants] == ["north"]


@pytest.mark.parametrize("name", sorted(CONTAINERS))
def test_containers_write_nowhere_and_may_do_nothing_special(name: str) -> None:
    """A hole in one of them is worth as little as possible."""
    assert CONTAINERS[name]["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert CONTAINERS[name]["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", sorted(PODS))
def test_pods_are_nobody_and_know_nothing_of_the_cluster(name: str) -> None:
    """The images' own user; no token; none of the variables that Kubernetes makes up, since ORIGIN_PORT is ours."""
    context = PODS[name]["securityContext"]
    assert f"USER {context['runAsUser']}:{context['runAsGroup']}\n" in DOCKERFILE
    assert (context["runAsNonRoot"], context["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
    assert PODS[name]["enableServiceLinks"] is False
    assert PODS[name]["automountServiceAccountToken"] is False


@pytest.mark.parametrize("name", ["ingest", "processor", "status", "origin"])
def test_services_listen_where_their_images_do_and_write_where_these_write(name: str) -> None:
    """One port under one name, and the one folder."""
    container = CONTAINERS[name]
    [port], [mount] = container["ports"], container["volumeMounts"]
    assert f"EXPOSE {port['containerPort']}\n" in stage(name)
    assert SERVICES[name]["ports"] == [{"name": "http", "port": port["containerPort"]}]
    assert f"ENV TMPDIR={mount['mountPath']} " in DOCKERFILE


@pytest.mark.parametrize("name", sorted(DEPLOYMENTS))
def test_every_deployment_is_found_by_its_own_service(name: str) -> None:
    """And by nobody else's."""
    labels = DEPLOYMENTS[name]["template"]["metadata"]["labels"]
    assert labels == DEPLOYMENTS[name]["selector"]["matchLabels"] == SERVICES[name]["selector"]
    assert labels == {"app.kubernetes.io/name": name}


@pytest.mark.parametrize("name", ["ingest", "processor", "status"])
def test_services_are_restarted_only_when_that_helps(name: str) -> None:
    """Alive under /health, of use under /health/ready; a dependency gets longer to answer than its own time-out."""
    container = CONTAINERS[name]
    assert container["livenessProbe"]["httpGet"] == {"path": "/health", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/health/ready", "port": "http"}
    assert container["readinessProbe"]["timeoutSeconds"] > 2


@pytest.mark.parametrize("name", ["ingest", "status"])
def test_a_service_without_kafka_still_answers(name: str) -> None:
    """It says itself that the queue is down; taken out of the name it would only be missing."""
    assert SERVICES[name]["publishNotReadyAddresses"] is True


def test_a_processor_has_time_to_hand_its_lanes_over() -> None:
    """A rebalance, the calls of lanes that leave, and the open requests of its own health."""
    settings = ProcessorSettings()
    leaving = (LEAVING_CALLS + 1) * settings.hospital_api_timeout + DRAIN_MARGIN_SECONDS
    needed = settings.session_timeout_ms / 1000 + leaving + GRACEFUL_SHUTDOWN_SECONDS
    assert PODS["processor"]["terminationGracePeriodSeconds"] >= needed


@pytest.mark.parametrize("name", ["ingest", "status"])
def test_open_requests_are_answered_before_a_pod_goes(name: str) -> None:
    """After the pause in which nginx learns that it goes."""
    assert CONTAINERS[name]["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "5"]
    assert PODS[name]["terminationGracePeriodSeconds"] >= 5 + GRACEFUL_SHUTDOWN_SECONDS


def test_no_more_processors_than_partitions() -> None:
    """The others would have nothing to do."""
    partitions = int(literals(KUSTOMIZATION)["KAFKA_TOPIC_PARTITIONS"])
    assert partitions == ProcessorSettings.model_fields["kafka_topic_partitions"].default
    assert 1 < DEPLOYMENTS["processor"]["replicas"] <= partitions
    assert DEPLOYMENTS["processor"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 1, "maxSurge": 0}


@pytest.mark.parametrize("name", ["ingest", "processor", "status", "nginx"])
def test_a_drained_node_takes_one_copy_at_a_time(name: str) -> None:
    """There are several of each, and a budget that lets drains go on."""
    [budget] = [b for b in BASE if b["kind"] == "PodDisruptionBudget" and b["metadata"]["name"] == name]
    assert budget["spec"] == {"maxUnavailable": 1, "selector": {"matchLabels": {"app.kubernetes.io/name": name}}}
    assert DEPLOYMENTS[name]["replicas"] >= 2


def test_the_ingress_leads_to_nginx_and_lets_everything_through() -> None:
    """nginx decides what goes where and how large a body may be; streams and slow answers live."""
    [ingress] = [each for each in BASE if each["kind"] == "Ingress"]
    [rule] = ingress["spec"]["rules"]
    [path] = rule["http"]["paths"]
    assert (path["path"], path["backend"]["service"]["name"]) == ("/", "nginx")
    told = {name.rpartition("/")[2]: value for name, value in ingress["metadata"]["annotations"].items()}
    assert (told["proxy-body-size"], told["proxy-request-buffering"], told["proxy-buffering"]) == ("0", "off", "off")
    assert int(told["proxy-read-timeout"]) >= 300


def test_the_example_names_every_image_of_ours() -> None:
    """Their plain names belong to nobody on the internet."""
    ours = {each["image"] for each in CONTAINERS.values() if each["image"].startswith("hospital-bulk-")}
    assert {image["name"] for image in EXAMPLE["images"]} == ours


@pytest.mark.parametrize(
    ("resolver", "domain", "expected"),
    [
        ("nameserver 127.0.0.11\nsearch somewhere\n", "", ("127.0.0.11", "ingest:8001")),
        ("search a\nnameserver 10.96.0.1\n", ".a.svc.cluster.local", ("10.96.0.1", "ingest.a.svc.cluster.local:8001")),
        ("nameserver fd00::a\n", ".a.svc.cluster.local", ("[fd00::a]", "ingest.a.svc.cluster.local:8001")),
    ],
    ids=["compose", "kubernetes", "kubernetes with IPv6"],
)  # fmt: skip
def test_nginx_asks_the_name_server_of_the_place_where_it_runs(
    tmp_path: Path, resolver: str, domain: str, expected: tuple[str, str]
) -> None:
    """In Kubernetes by whole names, since nginx reads no search list."""
    (tmp_path / "nginx").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "nginx").chmod(0o755)
    (tmp_path / "resolv.conf").write_text(resolver)
    told = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(tmp_path), "SERVICE_DOMAIN": domain}
    told |= {"RESOLV_CONF": str(tmp_path / "resolv.conf"), "MAX_UPLOAD_BYTES": "100"}
    command = ["/bin/sh", ROOT / "deploy" / "nginx" / "start.sh"]
    answer = subprocess.run(command, env=told, capture_output=True, text=True, check=True)
    assert f"-c {tmp_path}/nginx.conf" in answer.stdout
    written = (tmp_path / "nginx.conf").read_text()
    assert re.findall(r"resolver (\S+) valid", written) == [expected[0]]
    assert expected[1] in re.findall(r"set \$service (\S+);", written)
    assert len(re.findall(rf"set \$service [a-z]+{re.escape(domain)}:\d+;", written)) == written.count("set $service")


@pytest.mark.parametrize("folder", ["base", "example"])
def test_kustomize_accepts_it(folder: str) -> None:
    """The real tool renders them: every reference to settings and secrets has found its object."""
    kubectl = shutil.which("kubectl") or shutil.which("kustomize")
    if kubectl is None:
        pytest.skip("neither kubectl nor kustomize is on this machine")
    command = [kubectl, "kustomize" if kubectl.endswith("kubectl") else "build", str(KUBERNETES / folder)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 0, answer.stderr
    made = list(yaml.safe_load_all(answer.stdout))
    names = {each["metadata"]["name"] for each in made if each["kind"] in ("ConfigMap", "Secret")}
    referred = set(
        re.findall(r"(?:configMapRef|configMapKeyRef|secretKeyRef):\s+(?:key: \S+\s+)?name: (\S+)", answer.stdout)
    )
    assert referred - names == (set() if folder == "example" else {"secrets"})
