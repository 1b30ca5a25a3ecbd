"""The cache of Kafka's jars: whole, checked, and filled by one start at a time."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.local.broker.jars import Jar, JarNotFetched, JarRefused, class_path, locked_jars

KAFKA = Jar("org.apache.kafka", "kafka_2.13", "4.1.2", hashlib.sha256(b"kafka_2.13").hexdigest())
CLIENTS = Jar("org.apache.kafka", "kafka-clients", "4.1.2", hashlib.sha256(b"kafka-clients").hexdigest())


class Downloads:
    """A fake download: a jar's content is its artifact's name."""

    def __init__(self):
        self.asked: list[str] = []

    def __call__(self, jar: Jar, directory: Path) -> Path:
        self.asked.append(jar.artifact)
        path = directory / jar.file_name
        path.write_text(jar.artifact)
        return path


@pytest.fixture
def downloads() -> Downloads:
    return Downloads()


def test_every_jar_is_pinned_once_with_a_hash():
    """A version or a hash that is missing would let anything in."""
    locked = locked_jars()
    assert len({jar.file_name for jar in locked}) == len(locked) > 40
    assert {len(jar.sha256) for jar in locked} == {64}


def test_all_jars_of_kafka_are_of_one_version():
    """Mixed versions start, and fail later in strange ways."""
    assert len({jar.version for jar in locked_jars() if jar.group == "org.apache.kafka"}) == 1


def test_a_second_start_needs_no_network(tmp_path: Path, downloads: Downloads):
    """What was fetched once is kept."""
    first = class_path(tmp_path, [KAFKA, CLIENTS], downloads)
    assert class_path(tmp_path, [KAFKA, CLIENTS], downloads) == first
    assert first == f"{tmp_path}/kafka_2.13-4.1.2.jar:{tmp_path}/kafka-clients-4.1.2.jar"
    assert sorted(downloads.asked) == ["kafka-clients", "kafka_2.13"]


def test_two_first_starts_at_once_fetch_each_jar_once(tmp_path: Path, downloads: Downloads):
    """The second waits for the first and finds everything there."""
    with ThreadPoolExecutor() as starts:
        paths = list(starts.map(lambda _: class_path(tmp_path, [KAFKA, CLIENTS], downloads), range(4)))
    assert len(set(paths)) == 1
    assert sorted(downloads.asked) == ["kafka-clients", "kafka_2.13"]


def test_a_download_that_is_not_the_locked_jar_never_reaches_the_cache(tmp_path: Path, downloads: Downloads):
    """A bad mirror is named by its jar, and nothing of it stays."""
    with pytest.raises(JarRefused, match=r"^kafka-clients-4\.1\.2\.jar as downloaded is not the jar"):
        class_path(tmp_path, [KAFKA, replace(CLIENTS, sha256="0" * 64)], downloads)
    assert not (tmp_path / CLIENTS.file_name).exists()


def test_without_network_the_line_says_which_jar_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """And that only the first start needs the network."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(
        JarNotFetched, match=r"kafka_2\.13-4\.1\.2\.jar could not be downloaded .*: the first start needs"
    ):
        class_path(tmp_path, [KAFKA])
    assert list(tmp_path.glob("*.jar")) == []
