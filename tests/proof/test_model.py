"""The models of docs/proof: a short one is checked here, all of them by `make model`."""

import re

import pytest

from tests.proof.model import Run, check_model, check_mutant, configuration, main, report
from tests.proof.models import MODELS, Model, Mutant
from tests.proof.tlc import PROOF, changed, constants, promises

README = (PROOF / "README.md").read_text("utf-8")

every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)


def switches(model: Model) -> set[str]:
    return {name for name, value in constants(configuration(model)).items() if value == "TRUE"} - {"Arrivals"}


SHORT = next(model for model in MODELS if model.name == "Window")


def test_a_short_model_keeps_its_promises():
    """In all of its states."""
    assert check_model(SHORT).violated is None


def test_a_short_model_without_a_rule_breaks_its_promise():
    """TLC tells which, and the steps to it."""
    found = check_mutant(SHORT, SHORT.mutants[0])
    assert found.violated == SHORT.mutants[0].caught_by
    assert found.trace[0].startswith("State 1: ")


def test_a_mutant_that_passes_is_an_error(capsys):
    """A rule that nothing breaks without is not needed, or not modelled."""
    passing = Model(SHORT.name, (Mutant(("Rule_ByDelivered",), "WatermarkIsTrue"),))
    assert not report_of(passing)
    assert "NOT CAUGHT" in capsys.readouterr().out


def report_of(model: Model) -> bool:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as executor:
        mutant = model.mutants[0]
        return report([Run(model, mutant, executor.submit(check_mutant, model, mutant))])


@pytest.mark.parametrize("module", sorted({model.module for model in MODELS}))
def test_every_rule_and_every_assumption_of_a_module_has_a_mutant(module):
    """Alone, or together with one that protects the same."""
    models = [model for model in MODELS if model.module == module]
    left_out = {constant for model in models for mutant in model.mutants for constant in mutant.without}
    assert set().union(*map(switches, models)) - left_out == NOTHING_BREAKS_WITHOUT.get(module, set())


#: docs/proof/README.md says why they are kept.
NOTHING_BREAKS_WITHOUT = {
    "Lane": {"Rule_CallsEndFirst"},
    "Membership": {"Rule_ReadFirst", "Rule_FencedWaits"},
}


@every_model
def test_a_mutant_breaks_a_promise_of_its_model(model):
    """Else TLC would not look for it. What it changes are constants of the model."""
    text = configuration(model)
    for mutant in model.mutants:
        assert mutant.caught_by in promises(text)
        assert promises(changed(text, mutant.constants, mutant.caught_by)) == [mutant.caught_by]


@every_model
def test_the_table_of_rules_is_whole(model):
    """docs/proof/README.md names every constant and where its rule is in the code."""
    assert not {name for name in switches(model) if f"`{name}`" not in README}


def test_an_unknown_module_is_refused():
    """With the names of those that there are."""
    with pytest.raises(SystemExit):
        main(["Nonsense"])


def test_every_module_has_a_configuration():
    """And every configuration a module."""
    assert {path.stem for path in PROOF.glob("*.cfg")} == {model.name for model in MODELS}
    assert {path.stem for path in PROOF.glob("*.tla")} == {model.module for model in MODELS}
    assert all(re.match(r"-+ MODULE ", path.read_text()) for path in PROOF.glob("*.tla"))
