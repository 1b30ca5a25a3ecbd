"""A cache of Kafka's classes as Java has loaded them, with which it starts in half the time (JEP 514)."""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from deploy.local.broker.jars import one_at_a_time
from deploy.local.broker.java import java_release

#: Classes only: the machine code that Java 25 would keep with them is found again by a name that is not always its own.
_CLASSES_ONLY: Final = ["-XX:+UnlockDiagnosticVMOptions", "-XX:-AOTAdapterCaching", "-XX:-AOTStubCaching"]

#: Makes a run of Kafka with these options of Java, and returns when Java has ended.
Run = Callable[[list[str]], None]


def quick_start_options(jars_dir: Path, class_path: str, run: Run) -> list[str]:
    """The options of Java that use the cache, which is made first by `run`, about 10 s, when there is none.

    A machine that cannot make it starts Kafka without, and does not try again.
    """
    cache = _cache(jars_dir, class_path)
    if not cache.exists():
        with one_at_a_time(jars_dir / ".lock"):
            if not cache.exists():
                _make(cache, run)
    return [*_CLASSES_ONLY, f"-XX:AOTCache={cache}"] if cache.stat().st_size else []


def _cache(jars_dir: Path, class_path: str) -> Path:
    # Java uses it only for the very Java and the very paths that it was made with.
    known = hashlib.sha256(f"{java_release()}{class_path}".encode()).hexdigest()
    return jars_dir / f"kafka-{known[:12]}.aot"


def _make(cache: Path, run: Run) -> None:
    sys.stderr.write("Preparing quick starts of Apache Kafka, this once\n")
    sys.stderr.flush()
    new = cache.with_suffix(".new")
    run([*_CLASSES_ONLY, f"-XX:AOTCacheOutput={new}"])
    for old in cache.parent.glob("kafka-*.aot"):
        old.unlink()
    if new.exists():
        new.replace(cache)
    else:
        cache.touch()
