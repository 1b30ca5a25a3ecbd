"""Writes `kafka_jars.lock` anew: `python -m deploy.local.broker.lock_jars 4.1.2`.

Resolves Kafka's dependencies with jgo, downloads them, and pins what came. Look at the difference before you commit it.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from deploy.local.broker.jars import KAFKA, LOCK, sha256_of

#: Kafka 4.1 logs through slf4j 1.7, and its pom names no implementation; this one writes to standard error.
_LOGGING: Final = "org.slf4j:slf4j-simple:1.7.36"
_HEADER: Final = (
    "# Every jar of the local Apache Kafka with its SHA-256.\n"
    "# Written by: python -m deploy.local.broker.lock_jars VERSION\n"
)


def main() -> None:
    """Resolves the version of Kafka given on the command line."""
    if len(sys.argv) != 2:
        raise SystemExit("Say which version of Kafka: python -m deploy.local.broker.lock_jars 4.1.2")
    with tempfile.TemporaryDirectory() as directory:
        lines = sorted(map(_line, _resolve(sys.argv[1], Path(directory))))
    LOCK.write_text(_HEADER + "".join(lines))
    sys.stdout.write(f"{LOCK.name} names {len(lines)} jars\n")


def _resolve(version: str, directory: Path) -> list[Any]:
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=directory, timeout=30)
    roots = [context.create_dependency(coordinate) for coordinate in (f"{KAFKA}:{version}", _LOGGING)]
    named, brought = context.resolver.resolve(roots)
    return [
        dependency.artifact for dependency in [*named, *brought] if dependency.scope in (None, "compile", "runtime")
    ]


def _line(artifact: Any) -> str:
    coordinate = f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}"
    return f"{coordinate} {sha256_of(Path(artifact.resolve()))}\n"


if __name__ == "__main__":
    main()
