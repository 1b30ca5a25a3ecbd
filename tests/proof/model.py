"""Checks the models of docs/proof with TLC, and that each mutant breaks its promise: `python -m tests.proof.model`.

    python -m tests.proof.model                      everything
    python -m tests.proof.model Lane Upload          these modules
    python -m tests.proof.model --trace Rule_Lease   the steps to what breaks without a rule

Exits with 1 when a model breaks a promise, or a mutant does not.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass

from tests.proof.models import MODELS, Model, Mutant
from tests.proof.tlc import PROOF, Checked, NotChecked, changed, check, promises

#: TLC's searches that run at a time; each uses one core.
AT_A_TIME = 2
#: TLC now and then finds that something never happens, and fails to show the steps. Without them nothing is shown.
TRIES = 3


@dataclass(frozen=True, slots=True)
class Run:
    """A model, or one of its mutants, that is being checked."""

    model: Model
    mutant: Mutant | None
    checked: Future[Checked]

    def line(self) -> tuple[bool, str]:
        """Whether it came out as it should, and a line that says so."""
        try:
            found = self.checked.result()
        except (NotChecked, subprocess.TimeoutExpired) as error:
            return False, f"{self._title()} NOT CHECKED: {error}"
        figures = f"{found.states:>9,} states {found.seconds:>6.1f} s"
        if self.mutant is None:
            good = found.violated is None
            outcome = f"depth {found.depth}, holds" if good else f"BREAKS {found.violated} in {len(found.trace)} steps"
        else:
            good = found.violated is not None
            outcome = f"breaks {found.violated} in {len(found.trace)} steps" if good else "PASSES: NOT CAUGHT"
        return good, f"{self._title()} {figures}  {outcome}"

    def _title(self) -> str:
        return f"{self.model.name:<56}" if self.mutant is None else f"  without {self.mutant.name:<46}"


def configuration(model: Model) -> str:
    """The text of a model's configuration."""
    return (PROOF / f"{model.name}.cfg").read_text()


def check_model(model: Model) -> Checked:
    """Checks all promises of a model, in all of its states. Raises NotChecked."""
    return check(model.module, configuration(model))


def check_mutant(model: Model, mutant: Mutant) -> Checked:
    """Looks for the shortest way in which a mutant breaks its promise. Raises NotChecked."""
    text = changed(configuration(model), mutant.constants, mutant.caught_by)
    for _ in range(TRIES):
        found = check(model.module, text, mutant.caught_by, quick=True)
        if found.trace or not found.violated:
            return found
    raise NotChecked(f"TLC says that {mutant.caught_by} breaks, and shows no steps")


def start(models: Iterable[Model], executor: Executor) -> Iterator[Run]:
    """Begins to check the models and their mutants. The order is that of the lines."""
    for model in models:
        yield Run(model, None, executor.submit(check_model, model))
        for mutant in model.mutants:
            yield Run(model, mutant, executor.submit(check_mutant, model, mutant))


def report(runs: Iterable[Run]) -> bool:
    """Prints a line for each, as soon as those before it have one. Returns whether all came out as they should."""
    bad = []
    for run in runs:
        good, line = run.line()
        print(line, flush=True)
        if not good:
            bad.append(line)
    if bad:
        print("\nWRONG:", *bad, sep="\n", file=sys.stderr)
    return not bad


def print_trace(rule: str) -> None:
    """Prints the steps to what breaks without a rule."""
    for model in MODELS:
        for mutant in model.mutants:
            if rule in mutant.without:
                found = check_mutant(model, mutant)
                print(f"{model.name} without {mutant.name}: {found.violated} breaks", *found.trace, sep="\n\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", choices=[*sorted({model.module for model in MODELS}), []])
    parser.add_argument("--trace", metavar="RULE")
    wanted = parser.parse_args(arguments)
    if wanted.trace:
        print_trace(wanted.trace)
        return 0
    began = time.monotonic()
    models = [model for model in MODELS if not wanted.modules or model.module in wanted.modules]
    with ThreadPoolExecutor(AT_A_TIME) as executor:
        runs = list(start(models, executor))
        good = report(runs)
    kept = sum(len(promises(configuration(model))) for model in models)
    mutants = sum(len(model.mutants) for model in models)
    print(f"\n{len(models)} models, {kept} promises, {mutants} mutants, {time.monotonic() - began:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
