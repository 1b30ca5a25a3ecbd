"""The cache of Kafka's classes: made once by the first start, or never."""

from pathlib import Path

import pytest

from deploy.local.broker.class_cache import class_cache_options
from deploy.local.broker.java import java_release


class TrainingRuns:
    """Fake training runs: each writes a cache with this content, or none. Counts them."""

    def __init__(self, content: bytes | None = b"classes"):
        self.content = content
        self.count = 0

    def __call__(self, java_options: list[str]) -> None:
        self.count += 1
        name, _, path = java_options[-1].partition("=")
        assert name == "-XX:AOTCacheOutput"
        if self.content:
            Path(path).write_bytes(self.content)


def test_the_first_start_makes_it_and_all_use_it(tmp_path):
    """Under its own name only when it is whole."""
    runs = TrainingRuns()
    first, second = [class_cache_options(tmp_path, "a.jar", runs) for _ in range(2)]
    assert first == second
    assert Path(first[-1].removeprefix("-XX:AOTCache=")).read_bytes() == b"classes"
    assert runs.count == 1


def test_a_machine_that_cannot_make_it_starts_without_and_does_not_try_again(tmp_path):
    """A Java that does not know the option, a full disk."""
    runs = TrainingRuns(content=None)
    assert [class_cache_options(tmp_path, "a.jar", runs) for _ in range(2)] == [[], []]
    assert runs.count == 1


@pytest.mark.parametrize("what", ["jars", "Java"])
def test_other_jars_or_another_java_need_another_which_takes_its_place(tmp_path, what):
    """Java refuses one that was made with anything else; it is as large as all the jars."""
    runs = TrainingRuns()
    *_, old = class_cache_options(tmp_path, "a.jar", runs)
    jars, release = ("b.jar", java_release()) if what == "jars" else ("a.jar", "26")
    *_, new = class_cache_options(tmp_path, jars, runs, lambda: release)
    assert new != old
    assert [f"-XX:AOTCache={path}" for path in tmp_path.glob("*.aot")] == [new]
    assert runs.count == 2
