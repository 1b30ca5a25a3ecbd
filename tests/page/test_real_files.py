"""Files as people really have them, in the page: read by the service's own code, with at most one question each."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.page.fake_api import FakeApi
from tests.page.sent_file import checked
from tests.page.test_upload import choose, press
from tests.support.ingest.field_cases import CASES, FieldCase
from tests.support.ingest.public_files import PUBLIC_FILES, PublicFile

#: One of each kind of answer: right, asked, warned of, refused by rows, by the header, and as a whole.
KINDS = (
    "02-sep-line.csv",
    "08-utf16le-excel-unicode-text.txt",
    "12-shift-jis.csv",
    "18-preamble.csv",
    "26-inch-quote.csv",
    "29-dup-headers.csv",
    "36b-arabic-fullwidth-digits.csv",
    "43-json.csv",
    "62-successful-as-downloaded.csv",
    "71b-backslash-null.csv",
    "74-asterisk-headers.csv",
    "97-house-number-after-comma.csv",
)


@pytest.fixture(autouse=True)
def service(api: FakeApi) -> None:
    """Files are read by the service's own code."""
    api.validations[0] = checked


def guess(page: Page, words: str) -> None:
    """Takes the encoding by which these words read right."""
    page.locator(".guesses button").filter(has_text=words).click()


@pytest.mark.parametrize("case", [case for case in CASES if case.name in KINDS], ids=lambda case: case.name)
def test_each_kind_is_shown_as_it_is_read_or_told_what_is_wrong(page: Page, api: FakeApi, case: FieldCase) -> None:
    """The rows that will be sent, or the rows that cannot be."""
    choose(page, api, name=case.name, buffer=case.content)
    if case.chosen:
        guess(page, next(words for encoding, words in case.guesses if encoding == case.chosen["encoding"]))
    if case.sent is None:
        expect(page.locator(".panel h3")).to_contain_text(f"{case.name} has ")
        rows = {f"Row {row}" if row else "The file" for row, _, _ in case.found}
        expect(page.locator(".wrong-row h5")).to_have_count(len(rows))
        assert set(page.locator(".wrong-row h5").all_inner_texts()) == rows
        expect(page.get_by_role("button", name="Upload")).to_have_count(0)
        return
    expect(page.locator(".tiles dd").first).to_have_text(str(len(case.sent)))
    shown = [f"{row}{name}{address}{phone or 'none'}" for row, name, address, phone in case.sent[:5]]
    expect(page.locator(".panel tbody tr")).to_have_text(shown)


@pytest.mark.parametrize("file", PUBLIC_FILES, ids=lambda file: file.name)
def test_a_public_list_is_sent_with_at_most_one_question(page: Page, api: FakeApi, file: PublicFile) -> None:
    """Its encoding, or the columns that it does not name. What arrives is read with every phone."""
    choose(page, api, name=file.name, buffer=file.content)
    if file.reads_right:
        guess(page, file.reads_right)
    elif file.letters:
        choose_columns(page, file.letters)
    press(page, f"Upload {len(file.hospitals)} hospitals")
    page.wait_for_url("**/#/jobs/*")
    [request] = api.to("bulk")
    found = checked(request)
    assert found["valid"] is True
    assert [(row["name"], row["address"], row["phone"]) for row in found["sample"]] == list(file.hospitals)


def choose_columns(page: Page, letters: Any) -> None:
    """Chooses the columns of each field by their letters."""
    for field, columns in letters.items():
        for number, letter in enumerate(columns):
            page.locator(f"#column-{field}-{number}").select_option(letter)
    press(page, "Read it this way")
