"""A cache of Kafka's loaded Java classes, with which it starts in half the time (JEP 514).

The cache comes from a training run: Kafka is started once with an option of Java that writes it.
"""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from deploy.local.broker.jars import hold_lock_file
from deploy.local.broker.java import java_release

#: Java 25 would also cache machine code, and finds it again by a name that is not always unique: classes only.
_CLASSES_ONLY: Final = ["-XX:+UnlockDiagnosticVMOptions", "-XX:-AOTAdapterCaching", "-XX:-AOTStubCaching"]

#: Runs Kafka with these options of Java, and returns when Java has ended.
TrainingRun = Callable[[list[str]], None]


def class_cache_options(
    jars_dir: Path, class_path: str, training_run: TrainingRun, release: Callable[[], str] = java_release
) -> list[str]:
    """Java's options that use the cache. Without a cache, a training run makes it first (about 10 s).

    Where that fails, an empty file is kept: the result is then [] now and at every later start. `release`: which Java
    this is; a cache belongs to one Java and one class path.
    """
    cache = _cache(jars_dir, class_path, release())
    if not cache.exists():
        with hold_lock_file(jars_dir / ".lock"):
            if not cache.exists():
                _make(cache, training_run)
    return [*_CLASSES_ONLY, f"-XX:AOTCache={cache}"] if cache.stat().st_size else []


def _cache(jars_dir: Path, class_path: str, release: str) -> Path:
    # Java refuses a cache that was made by another Java or with other paths.
    known = hashlib.sha256(f"{release}{class_path}".encode()).hexdigest()
    return jars_dir / f"kafka-{known[:12]}.aot"


def _make(cache: Path, training_run: TrainingRun) -> None:
    sys.stderr.write("Preparing quick starts of Apache Kafka, this once\n")
    sys.stderr.flush()
    new = cache.with_suffix(".new")
    training_run([*_CLASSES_ONLY, f"-XX:AOTCacheOutput={new}"])
    for old in cache.parent.glob("kafka-*.aot"):
        old.unlink()
    if new.exists():
        new.replace(cache)
    else:
        cache.touch()
