"""A network that a test can cut: a router between this process and a far host, in namespaces of their own.

    here  10.77.0.1 ── 10.77.0.254  router  10.77.1.254 ── 10.77.1.1  far

While it is cut, packets get lost without a word, as with a failed route: connections stay established, and the kernel
sends again what was not acknowledged. Needs Linux, `ip` and `unshare`, and the right to make namespaces.
"""

import functools
import inspect
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from xml.etree import ElementTree

import pytest

from deploy.local.ports import free_port

FAR_HOST = "10.77.1.1"
_INSIDE = "TESTS_OWN_NETWORK"
_ROOT = Path(__file__).parents[2]


def in_own_network(seconds: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Runs a test in a process with a network of its own, for at most so many seconds. Skipped where that may not be.

    The test may use `CutNetwork`. It takes parameters, and fixtures that need no network: they are made twice.
    """

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(request: pytest.FixtureRequest, **arguments: object) -> None:
            if os.environ.get(_INSIDE):
                test(**arguments)
                return
            if reason := _not_here():
                pytest.skip(reason)
            with tempfile.NamedTemporaryFile(suffix=".xml") as report:
                _run_inside(request.node.nodeid, seconds, report.name)
                told = ElementTree.parse(report.name).iter("property")
                request.node.user_properties += [(each.attrib["name"], each.attrib["value"]) for each in told]

        # pytest asks the wrapped function for its fixtures otherwise.
        del run.__wrapped__  # type: ignore[attr-defined]
        asked = inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [asked, *inspect.signature(test).parameters.values()]
        )
        return run

    return decorate


def _run_inside(test: str, seconds: int, report: str) -> None:
    """Runs one test in a namespace, and asserts that it passed. `report`: the file that gets what it has recorded."""
    options = ["-q", "--no-cov", "-p", "no:cacheprovider", "-p", "no:xdist", f"--timeout={seconds}"]
    ended = subprocess.run(
        ["unshare", "--map-root-user", "--net", sys.executable, "-m", "pytest", test, *options, f"--junitxml={report}"],
        env={name: value for name, value in os.environ.items() if "XDIST" not in name} | {_INSIDE: "1"},
        cwd=_ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds + 30,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def _not_here() -> str | None:
    """Why this machine cannot run such tests; None when it can."""
    if missing := [tool for tool in ("unshare", "nsenter", "ip") if shutil.which(tool) is None]:
        return f"no {', '.join(missing)} on this machine"
    tried = subprocess.run(
        ["unshare", "--map-root-user", "--net", "ip", "link", "set", "lo", "up"], capture_output=True, check=False
    )
    return f"network namespaces may not be made here: {tried.stderr.decode().strip()}" if tried.returncode else None


class CutNetwork:
    """The router and the far host. A context manager, for a process that `in_own_network` has started."""

    def __enter__(self) -> Self:
        if not os.environ.get(_INSIDE):
            raise RuntimeError("this would change the machine's own network")
        _run("ip", "link", "set", "lo", "up")
        self._router, self._far = _namespace(), _namespace()
        _run("ip", "link", "add", "here0", "type", "veth", "peer", "name", "near0")
        _run("ip", "link", "add", "far0", "type", "veth", "peer", "name", "back0")
        for device, owner in (("near0", self._router), ("back0", self._router), ("far0", self._far)):
            _run("ip", "link", "set", device, "netns", str(owner.pid))
        _address([], "here0", "10.77.0.1")
        _address(self._enter(self._router), "near0", "10.77.0.254")
        _address(self._enter(self._router), "back0", "10.77.1.254")
        _address(self._enter(self._far), "far0", FAR_HOST)
        _run("ip", "route", "add", "default", "via", "10.77.0.254")
        _run(*self._enter(self._far), "ip", "route", "add", "default", "via", "10.77.1.254")
        self.mend()
        return self

    def __exit__(self, *_: object) -> None:
        for holder in (self._router, self._far):
            holder.kill()
            holder.wait()

    @contextmanager
    def running(self, *command: str) -> Iterator[subprocess.Popen[str]]:
        """A process on the far host, from its first line of output on; killed at the end."""
        process = subprocess.Popen([*self._enter(self._far), *command], stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            assert process.stdout.readline(), "it ended before it said anything"
            yield process
        finally:
            process.kill()
            process.wait()

    @contextmanager
    def directory(self) -> Iterator[str]:
        """A sandbox directory on the far host; yields its URL."""
        port = free_port()
        environment = (f"SANDBOX_HOST={FAR_HOST}", f"SANDBOX_PORT={port}")
        with self.running("env", *environment, sys.executable, "-m", "deploy.local.sandbox"):
            yield f"http://{FAR_HOST}:{port}"

    def cut(self) -> None:
        """From now on every packet gets lost, in both directions."""
        self._forward(on=False)

    def mend(self) -> None:
        """The network is there again."""
        self._forward(on=True)

    def _forward(self, *, on: bool) -> None:
        _run(*self._enter(self._router), "sh", "-c", f"echo {int(on)} > /proc/sys/net/ipv4/ip_forward")

    @staticmethod
    def _enter(holder: subprocess.Popen[bytes]) -> list[str]:
        return ["nsenter", f"--target={holder.pid}", "--net"]


def _namespace() -> subprocess.Popen[bytes]:
    """A process that holds a network namespace, ready when this returns."""
    holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo ready; exec sleep 3600"], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"ready\n"
    return holder


def _address(enter: list[str], device: str, address: str) -> None:
    _run(*enter, "ip", "link", "set", "lo", "up")
    _run(*enter, "ip", "address", "add", f"{address}/24", "dev", device)
    _run(*enter, "ip", "link", "set", device, "up")


def _run(*command: str) -> Any:
    return subprocess.run(command, check=True, capture_output=True, timeout=10)
