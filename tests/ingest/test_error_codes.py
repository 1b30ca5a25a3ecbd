"""docs/error-codes.md: every code, each once, under errors or under warnings."""

import re
from pathlib import Path

from shared.runtime.http.row_problems import WARNINGS, ProblemCode

PAGE = (Path(__file__).parents[2] / "docs" / "error-codes.md").read_text("utf-8")


def codes(text: str) -> list[str]:
    """The codes that its tables explain."""
    return re.findall(r"^\| `(\w+)` \| \S", text, re.MULTILINE)


def test_the_page_explains_every_code_once_in_the_order_of_the_list():
    """And none that there is not."""
    assert codes(PAGE) == [code.value for code in ProblemCode]


def test_warnings_stand_under_warnings():
    """Since they do not refuse a file."""
    _, warnings = PAGE.split("## Warnings")
    assert set(codes(warnings)) == WARNINGS


def test_the_three_spreadsheets_are_told_of():
    """By what a clerk sees in them."""
    assert all(PAGE.count(f"**{name}**") >= 2 for name in ("Excel", "LibreOffice", "Google Sheets"))
