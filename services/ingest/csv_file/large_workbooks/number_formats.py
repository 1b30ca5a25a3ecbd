"""Which cells of a workbook are days and times: numbers, told from others by their format alone."""

import re
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from enum import Enum
from typing import Final
from xml.etree.ElementTree import Element

_QUOTED: Final = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?![hms]+\])[^\]]*\]', re.IGNORECASE)
_DAYS: Final = frozenset([*range(14, 23), *range(27, 37), *range(50, 59)])
_DURATION: Final = re.compile(r"\[[hms]+\]", re.IGNORECASE)


class Kind(Enum):
    """What a number stands for."""

    DAY = "day"
    DURATION = "duration"


def kinds(styles: Element) -> Mapping[int, Kind]:
    """For each style of cells that is no plain number what it stands for. `styles`: the root of xl/styles.xml."""
    codes = {each.get("numFmtId"): each.get("formatCode", "") for each in styles.iter() if _is(each, "numFmt")}
    found: dict[int, Kind] = {}
    cells = next((each for each in styles if _is(each, "cellXfs")), ())
    for number, style in enumerate(each for each in cells if _is(each, "xf")):
        format_ = style.get("numFmtId", "0")
        kind = _kind(codes[format_]) if format_ in codes else _standard(format_)
        if kind:
            found[number] = kind
    return found


def shown_number(value: float, kind: Kind, starts_1904: bool) -> timedelta | time | datetime | float:
    """The day or time that a number stands for; the number when there is none."""
    try:
        if kind is Kind.DURATION:
            return timedelta(days=value)
        if 0 <= value < 1 and not starts_1904:
            return (datetime(1, 1, 1) + _rounded(value)).time()  # noqa: DTZ001 - as in a cell
        first = datetime(1904, 1, 1) if starts_1904 else datetime(1899, 12, 30 if value >= 60 else 31)  # noqa: DTZ001 - as in a cell
        return first + _rounded(value)
    except OverflowError:
        return value


def _rounded(days: float) -> timedelta:
    return timedelta(milliseconds=round(days * 86_400_000))


def _is(element: Element, name: str) -> bool:
    return element.tag.rpartition("}")[2] == name


def _standard(format_: str) -> Kind | None:
    if format_ == "46":
        return Kind.DURATION
    return Kind.DAY if format_.isdecimal() and int(format_) in (*_DAYS, 45, 47) else None


def _kind(code: str) -> Kind | None:
    plain = _QUOTED.sub("", code.partition(";")[0])
    if _DURATION.search(plain):
        return Kind.DURATION
    return Kind.DAY if re.search(r"[dmyhs]", plain, re.IGNORECASE) else None
