"""Starts that do not look for garbage while they import, of which imports make none: a quarter of their CPU."""

import gc
from importlib import import_module


def run_main(module: str) -> None:
    """Imports the module and runs its `main`."""
    gc.disable()
    main = import_module(module).main
    gc.enable()
    main()
