"""Rewrites names and addresses, as directories do that store something else than they were sent."""

from dataclasses import replace

from deploy.local.sandbox.faults import Rewrite
from deploy.local.sandbox.hospitals import HospitalBody


def rewrite(body: HospitalBody, how: Rewrite) -> HospitalBody:
    """The body as it is stored and echoed: ``upper`` and ``trim`` fold away, ``street`` (St. → Street) does not."""
    if how == "none":
        return body
    return replace(body, name=_rewrite(body.name, how), address=_rewrite(body.address, how))


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
