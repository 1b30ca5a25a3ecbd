"""How the services import themselves."""

import gc
import sys
from types import ModuleType

from shared.runtime.startup import run_main


def test_nothing_is_collected_while_it_imports_and_everything_afterwards(tmp_path, monkeypatch):
    """`main` runs with the collector as Python has it."""
    code = "import gc\nimporting = gc.isenabled()\ndef main():\n    global running\n    running = gc.isenabled()\n"
    (tmp_path / "a_program.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    run_main("a_program")
    program: ModuleType = sys.modules.pop("a_program")
    assert (program.importing, program.running, gc.isenabled()) == (False, True, True)
