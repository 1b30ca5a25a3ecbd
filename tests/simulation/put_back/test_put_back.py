"""The faults that are put back still fit the code. `python -m tests.simulation.put_back` looks for them."""

import shutil

import pytest

from tests.simulation.kinds import KINDS
from tests.simulation.put_back.all_faults import FAULTS
from tests.simulation.put_back.fault import ROOT, Change, DoesNotApply, Fault

TOLD = (ROOT / "docs/proof/simulation.md").read_text()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_fits_the_code(fault: Fault, tmp_path):
    """Else it has to be written anew: the code that it breaks has changed."""
    for path in {change.path for change in fault.changes}:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    fault.put_into(tmp_path)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_document_tells_of_every_fault(fault: Fault):
    """With the seeds that found it."""
    assert f"| `{fault.name}` | {fault.what} |" in TOLD
    assert fault.kind in KINDS


def test_a_fault_that_does_not_fit_is_refused(tmp_path):
    """It would break nothing, and never be found."""
    (tmp_path / "a.py").write_text("a = 1\nb = 1\n")
    for text in ("c = 1", "= 1"):
        with pytest.raises(DoesNotApply):
            Fault("any", "", "", "", (Change("a.py", text, "c = 2"),)).put_into(tmp_path)
