"""Numbers, times and reasons in words."""

from typing import Any

from playwright.sync_api import Page

from shared.runtime.http.row_problems import ProblemCode
from tests.page.fake_api import FakeApi, ended, job

NOON = 1_772_366_400_000  # 2026-03-01T12:00:00Z


def said(page: Page, api: FakeApi, call: str, *values: Any) -> Any:
    """What words.js makes of each value."""
    page.goto(f"{api.url}/favicon.svg")
    return page.evaluate(
        f"async values => {{ const words = await import('/words.js'); return values.map({call}); }}", values
    )


def test_durations_are_as_exact_as_anybody_needs(page: Page, api: FakeApi) -> None:
    """Seconds, then minutes, then hours and minutes, then days."""
    values = {0.2: "1 second", 89: "89 seconds", 150: "3 minutes", 3600: "1 hour", 7500: "2 hours 5 minutes"}
    values |= {40_000: "11 hours", 200_000: "2 days", 23 * 86_400: "23 days"}
    assert said(page, api, "words.duration", *values) == list(values.values())


def test_the_end_is_named_when_it_is_far_away(page: Page, api: FakeApi) -> None:
    """A time today, a day after that; nobody needs a clock for a few minutes."""
    values = {60: None, 1800: "about 12:30", 86_400 * 4: "Thursday 5 March"}
    assert said(page, api, f"seconds => words.until(seconds, {NOON})", *values) == list(values.values())


def test_moments_are_told_as_people_tell_them(page: Page, api: FakeApi) -> None:
    """Just now, minutes and hours ago, then the date. A clock that goes wrong says just now."""
    values = {
        "2026-03-01T11:59:30Z": "just now",
        "2026-03-01T12:00:30Z": "just now",
        "2026-03-01T11:59:00Z": "1 minute ago",
        "2026-03-01T09:30:00Z": "2 hours ago",
        "2026-02-27T09:30:00Z": "27 February 2026 at 09:30",
    }
    assert said(page, api, f"iso => words.ago(iso, {NOON})", *values) == list(values.values())


def test_percent_is_rounded_down(page: Page, api: FakeApi) -> None:
    """100 % means all."""
    assert said(page, api, "words.percent", 0, 99.99, 100) == ["0 %", "99 %", "100 %"]


CANCELLED = ended(activated=False) | {
    "status": "cancelled",
    "outcome": "cancelled",
    "created_hospitals": 30,
    "unprocessed_hospitals": 10,
}


AFTER = {"outcome": "all_created_after_correction", "corrected_hospitals": 8}

#: A job, the word for it, what its story contains, and what is said to follow for hospitals that exist.
STATES: list[tuple[Any, str, str, str | None]] = [
    (job(status="pending"), "Waiting", "Your file is safe", None),
    (job(), "Running", "You may close this page", None),
    (job(processed_hospitals=40, created_hospitals=40), "Running", "being activated now", None),
    (ended(), "Completed", "All 40 hospitals are created and activated.", None),
    (ended(activated=False), "Not activated", "created, but not activated", "not active until"),
    (ended(failed=4), "Partly created", "36 of 40 hospitals were created, 4 failed.", "cannot take them back"),
    (
        ended(failed=4, unknown_hospitals=3),
        "Partly created",
        "were created, 1 failed, 3 are unconfirmed.",
        "cannot take",
    ),
    (ended(failed=1, unknown_hospitals=1), "Partly created", "were created, 1 is unconfirmed.", "cannot take"),
    (ended(activated=False, corrects="job-0"), "Not activated", "created, but not", "no row of the upload that this"),
    (ended(failed=39), "Partly created", "1 of 40", "The created one stays in the directory, not activated"),
    (CANCELLED, "Cancelled", "0 failed, 10 were not sent", "because the upload was cancelled"),
    (ended(failed=8) | AFTER, "Activating", "All 40 hospitals are created, 8 of them after", "being activated now"),
    (ended(failed=8) | AFTER | {"activated": True}, "Completed", "8 of them after correction", "They are active"),
    (ended(failed=8) | AFTER | {"error": "Refused"}, "Not activated", "8 of them", "not active until"),
    (
        ended(failed=40) | AFTER | {"status": "failed", "corrected_hospitals": 40},
        "Completed",
        "All 40 hospitals are created after correction.",
        None,
    ),
    (
        CANCELLED | {"cancel_reason": "max_failures"},
        "Cancelled",
        "Stopped, since more rows failed than",
        "not activated",
    ),
    (ended(failed=40) | {"status": "failed", "outcome": "none_created"}, "Failed", "No hospital was created.", None),
]


def test_every_state_has_its_words(page: Page, api: FakeApi) -> None:
    """The chip's word, the sentence, and what it means for what was created: nothing is activated, nothing undone."""
    tell = "job => [words.state(job).word, words.story(job), words.consequence(job)]"
    found = said(page, api, tell, *(now for now, *_ in STATES))
    for (_, word, story, consequence), (said_word, said_story, said_consequence) in zip(STATES, found, strict=True):
        assert said_word == word
        assert story in said_story
        assert (consequence or "") in (said_consequence or "")
        assert (consequence is None) == (said_consequence is None)


def test_every_kind_of_error_has_its_words(page: Page, api: FakeApi) -> None:
    """Each code of the service; a code that the page does not know has words as well."""
    page.goto(f"{api.url}/favicon.svg")
    tell = (
        "async codes => { const { kindOf } = await import('/upload/kinds.js');"
        " return codes.map(code => kindOf({ code })); }"
    )
    *kinds, unknown = page.evaluate(tell, [*(str(code) for code in ProblemCode), "of_tomorrow"])
    assert unknown == "To be corrected"
    assert unknown not in kinds


def test_a_clerk_reads_nothing_of_parameters(page: Page, api: FakeApi) -> None:
    """They are for those who write programs; the page has menus and boxes for them."""
    page.goto(f"{api.url}/favicon.svg")
    tell = (
        "async messages => { const { wordsOf } = await import('/upload/kinds.js');"
        " return messages.map(message => wordsOf({ message })); }"
    )
    messages = [
        'Several columns could be the phone. Choose one (`mapping`, for example {"phone": "Tel (day)"}).',
        "Delete it, or allow rows that were created before (`repeat_created`) to create it once more.",
        "Rename the column to `address`.",
    ]
    assert page.evaluate(tell, messages) == [
        "Several columns could be the phone. Choose one.",
        "Delete it, or allow rows that were created before to create it once more.",
        "Rename the column to \u201caddress\u201d.",
    ]
