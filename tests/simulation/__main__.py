"""Runs simulations: `python -m tests.simulation --seeds 1000`, or one: `--seed 42 --history`."""

import argparse
import os
import sys

HASH_SEED = "0"


def main() -> int:
    """Runs them in a process of its own, since the order in sets of texts depends on PYTHONHASHSEED."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this one, and print how it went")
    parser.add_argument("--history", action="store_true", help="with --seed: print everything that happened")
    parser.add_argument("--seeds", type=int, default=100, help="run so many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--kind", help="only the seeds of this kind: see tests/simulation/kinds.py")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--until-found", action="store_true", help="one after the other, until a promise is broken")
    parser.add_argument("--short", action="store_true", help="less trouble in each, for runs that have little time")
    options = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != HASH_SEED:
        command = [sys.executable, "-m", "tests.simulation", *sys.argv[1:]]
        os.execve(sys.executable, command, os.environ | {"PYTHONHASHSEED": HASH_SEED})
    from tests.simulation.campaign import run_all, run_one, run_until_found

    if options.seed is not None:
        return run_one(options.seed, history=options.history, in_short=options.short)
    if options.until_found:
        return run_until_found(options.first, options.seeds, options.kind)
    return run_all(options.first, options.seeds, options.processes, options.kind, in_short=options.short)


if __name__ == "__main__":
    raise SystemExit(main())
