"""Rows that may be in the directory although they failed: the page says so where their file is."""

import pytest
from playwright.sync_api import Page, expect

from tests.page.fake_api import FakeApi, ended, failures
from tests.page.test_job import watch


def test_a_file_with_rows_that_may_exist_already_says_how_many(page: Page, api: FakeApi) -> None:
    """Beside the download, with what to do first: also when these rows are not among those that are shown."""
    api.failed = failures(4)
    watch(page, api, ended(failed=4, unknown_hospitals=3))
    files = page.get_by_role("region", name="Result files")
    expect(files.locator(".notice")).to_contain_text("3 rows in failed.csv may already be in the directory.")
    expect(files.locator(".notice")).to_contain_text("Resolve them above, or try the failed rows again")
    numbers = page.locator(".tally > div:visible")
    expect(numbers).to_have_text(["Created36", "Failed1", "Unconfirmed3", "Not sent0"])
    assert page.locator(".fill.unconfirmed").evaluate("it => it.style.width") == "7.5%"
    expect(page.get_by_role("button", name="Try 4 open rows again")).to_be_visible()
    expect(page.get_by_text("3 rows are unconfirmed.")).to_be_visible()
    expect(page.get_by_text("resolve them here, before you upload failed.csv again.")).to_be_visible()


@pytest.mark.parametrize("failed", [0, 4])
def test_a_file_without_unknown_outcomes_says_nothing(page: Page, api: FakeApi, failed: int) -> None:
    """Nobody is to be warned of nothing."""
    api.failed = failures(failed)
    watch(page, api, ended(failed=failed))
    files = page.get_by_role("region", name="Result files")
    expect(files).to_be_visible()
    expect(files.locator(".notice")).to_be_hidden()
