"""The jars of Apache Kafka: downloads them once, and checks them at every start.

`kafka_jars.lock` pins each jar with its SHA-256; `python -m deploy.local.broker.lock_jars VERSION` writes it anew.
jgo, a Maven resolver in Python, downloads them. They are kept beside the broker's data: later starts need no network.
"""

import fcntl
import functools
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.local.supervisor.not_started import NotStarted

LOCK: Final = Path(__file__).with_name("kafka_jars.lock")
KAFKA: Final = "org.apache.kafka:kafka_2.13"
_DOWNLOADS_AT_A_TIME: Final = 4
_TIMEOUT_SECONDS: Final = 30


class JarRefused(NotStarted):
    """The SHA-256 of a jar is not the one in the lock."""


class JarNotFetched(NotStarted):
    """A jar is not in the cache and could not be downloaded."""


@dataclass(frozen=True)
class Jar:
    """One line of the lock."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The name of its file in the cache."""
        return f"{self.artifact}-{self.version}.jar"


def locked_jars(lock: Path = LOCK) -> tuple[Jar, ...]:
    """All jars of the lock. A line is `group:artifact:version sha256`."""
    return tuple(_parse(line) for line in lock.read_text().splitlines() if line and not line.startswith("#"))


def _parse(line: str) -> Jar:
    coordinate, sha256 = line.split()
    group, artifact, version = coordinate.split(":")
    return Jar(group, artifact, version, sha256)


def kafka_version(jars: Sequence[Jar]) -> str:
    """The version of Kafka of these jars."""
    return next(jar.version for jar in jars if f"{jar.group}:{jar.artifact}" == KAFKA)


#: Downloads a jar into the directory and returns its file. Raises JarNotFetched.
Download = Callable[[Jar, Path], Path]


def download(jar: Jar, directory: Path) -> Path:
    """Downloads a jar from Maven Central into the directory. Raises JarNotFetched."""
    from jgo.maven import MavenContext  # takes 0.3 s, which only a first start should pay

    context = MavenContext(repo_cache=directory, timeout=_TIMEOUT_SECONDS)
    try:
        return Path(context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve())
    except (OSError, RuntimeError) as error:  # those of requests are OSErrors
        raise JarNotFetched(
            f"{jar.file_name} could not be downloaded ({type(error).__name__}): the first start needs the network, "
            "start again when it is there"
        ) from error


def class_path(directory: Path, jars: Sequence[Jar], download: Download = download) -> str:
    """The class path of all jars in the directory, each checked against its hash. Downloads the missing ones first.

    Raises JarRefused for a jar that is not the locked one, JarNotFetched for one that cannot be downloaded.
    """
    _fetch_missing(directory, jars, download)
    for jar in jars:
        _check(directory / jar.file_name, jar)
    return os.pathsep.join(str(directory / jar.file_name) for jar in jars)


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(path: Path, jar: Jar) -> None:
    found = sha256_of(path)
    if found != jar.sha256:
        raise JarRefused(
            f"{path} is not the jar that {LOCK.name} names (SHA-256 {found[:12]}…, expected {jar.sha256[:12]}…): "
            "delete it, and the next start fetches it again"
        )


def _fetch_missing(directory: Path, jars: Sequence[Jar], download: Download) -> None:
    if not _missing(directory, jars):
        return
    directory.mkdir(parents=True, exist_ok=True)
    with (
        hold_lock_file(directory / ".lock"),
        tempfile.TemporaryDirectory(dir=directory, prefix=".fetching-") as staging,
    ):
        missing = _missing(directory, jars)
        fetch = functools.partial(_fetch_one, directory=directory, staging=Path(staging), download=download)
        _fetch_all(fetch, missing, kafka_version(jars))


def _missing(directory: Path, jars: Sequence[Jar]) -> list[Jar]:
    return [jar for jar in jars if not (directory / jar.file_name).is_file()]


@contextmanager
def hold_lock_file(lock: Path) -> Iterator[None]:
    """Holds the lock file; waits as long as another process holds it."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch_all(fetch: Callable[[Jar], None], missing: Sequence[Jar], version: str) -> None:
    pool = ThreadPoolExecutor(_DOWNLOADS_AT_A_TIME)
    try:
        _show_progress([pool.submit(fetch, jar) for jar in missing], version)
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C or an error, do not go on with the rest


def _fetch_one(jar: Jar, directory: Path, staging: Path, download: Download) -> None:
    """Moves the jar to its place only after its hash was checked, in one step: a crash leaves no half a jar."""
    fetched = download(jar, staging)
    if sha256_of(fetched) != jar.sha256:
        raise JarRefused(f"{jar.file_name} as downloaded is not the jar that {LOCK.name} names: nothing was started")
    fetched.replace(directory / jar.file_name)


def _show_progress(downloads: Sequence[Future[None]], version: str) -> None:
    end = "\r" if sys.stderr.isatty() else "\n"
    step = 1 if sys.stderr.isatty() else 10
    for done, download in enumerate(as_completed(downloads), start=1):
        download.result()
        if done % step == 0 or done == len(downloads):
            last = "\n" if done == len(downloads) else end
            sys.stderr.write(f"Fetching Apache Kafka {version}, this once: {done} of {len(downloads)} jars{last}")
            sys.stderr.flush()
