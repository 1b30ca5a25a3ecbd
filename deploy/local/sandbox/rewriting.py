"""Directories that store something else than they were sent."""

from dataclasses import replace

from deploy.local.sandbox.faults import Rewrite
from deploy.local.sandbox.hospitals import HospitalDraft


def rewritten(draft: HospitalDraft, how: Rewrite) -> HospitalDraft:
    """The draft as it is stored and echoed: ``upper`` and ``trim`` fold away, ``street`` (St. → Street) does not."""
    if how == "none":
        return draft
    return replace(draft, name=_rewrite(draft.name, how), address=_rewrite(draft.address, how))


def _rewrite(text: str, how: Rewrite) -> str:
    match how:
        case "upper":
            return text.upper()
        case "trim":
            return " ".join(text.split())
        case "street":
            return text.replace("St.", "Street")
        case _:
            return text
