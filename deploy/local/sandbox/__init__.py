"""A fake of the external hospital directory: for `make run`, tests, chaos rounds and benchmarks, in no image.

``python -m deploy.local.sandbox`` is a process of its own; ``async with Sandbox() as directory`` is one inside a test.
"""

from deploy.local.sandbox.faults import Faults, NameRule, RateLimit
from deploy.local.sandbox.process import main
from deploy.local.sandbox.server import Sandbox

__all__ = ["Faults", "NameRule", "RateLimit", "Sandbox", "main"]
