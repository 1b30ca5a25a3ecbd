"""Puts faults back into a copy of the code, one at a time, and says after how many seeds the simulation finds each."""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.put_back.all_faults import FAULTS
from tests.simulation.put_back.fault import ROOT, Fault, copy_tree

_FOUND = re.compile(r"found after (\d+) seeds, by seed (\d+): (.*)")


@dataclass(frozen=True)
class Search:
    """How the search for one fault ended. `seeds`: None when it was not found."""

    fault: Fault
    seeds: int | None
    seconds: float
    told: str


def search(fault: Fault, tree: Path, seeds: int, first: int, *, directed: bool) -> Search:
    """Runs seeds on a copy of the code with the fault, until one breaks a promise. `directed`: its kind's only."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fault-") as folder:
        root = Path(folder)
        copy_tree(tree, root)
        fault.put_into(root)
        command = ["-m", "tests.simulation", "--until-found", f"--seeds={seeds}", f"--first={first}"]
        command += [f"--kind={fault.kind}"] * directed
        run = subprocess.run([sys.executable, *command], cwd=root, capture_output=True, text=True, check=False)
    found = _FOUND.search(run.stdout)
    if found is None and "not found in" not in run.stdout:
        raise RuntimeError(f"{fault.name}: {run.stdout}\n{run.stderr}")
    return Search(fault, int(found[1]) if found else None, time.monotonic() - began, found[0] if found else run.stdout)


def main() -> int:
    """Returns 1 when a fault was not found."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.put_back", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="the faults; all when none is named")
    parser.add_argument("--seeds", type=int, default=10_000, help="the most seeds for each")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--directed", action="store_true", help="only the seeds of the kind that is meant to find it")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    chosen = [fault for fault in FAULTS if not options.names or fault.name in options.names]
    if unknown := set(options.names) - {fault.name for fault in chosen}:
        parser.error(f"there is no fault {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="tree-") as tree, ThreadPoolExecutor(options.processes) as searching:
        copy_tree(ROOT, Path(tree))  # all faults are put into the same code, whatever becomes of this one meanwhile
        searches = []
        begun = [
            searching.submit(search, fault, Path(tree), options.seeds, options.first, directed=options.directed)
            for fault in chosen
        ]
        for ended in as_completed(begun):
            searches.append(done := ended.result())
            print(
                f"{done.fault.name:28} {done.seeds or '-':>6} seeds {done.seconds:6.0f} s  {done.told[:150]}",
                flush=True,
            )
    missed = [done.fault.name for done in searches if done.seeds is None]
    print(f"{len(searches) - len(missed)} of {len(searches)} found{': not ' + ', '.join(missed) if missed else ''}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
