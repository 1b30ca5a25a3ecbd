"""When two hospitals count as the same."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contract.hospital_matching import fold, fold_phone, matching_key

words = st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1), min_size=1)
spaces = st.text(" \t\u00a0\u2003\n", min_size=1, max_size=4)


@given(st.text())
def test_folding_twice_changes_nothing_more(text):
    """Otherwise likeness would depend on how often somebody folded."""
    assert fold(fold(text)) == fold(text)
    assert fold_phone(fold_phone(text)) == fold_phone(text)


@pytest.mark.parametrize("text", ["ß\u0301", "S\u0301", "ΐ", "Clínica São José", "Ὀδυσσεύς", "Straße"])
def test_letters_that_fall_apart_when_folded_are_folded_once_and_in_any_case(text):
    """Rare letters, but a directory that answers in capitals would make every look-up miss."""
    assert fold(fold(text)) == fold(text) == fold(text.upper()) == fold(text.lower())


@given(st.text(st.characters(codec="ascii")))
def test_case_does_not_matter(text):
    """`ST. MARY` is `St. Mary`."""
    assert fold(text.upper()) == fold(text.lower()) == fold(text)


@given(words, spaces, spaces)
def test_neither_the_kind_nor_the_number_of_spaces_matters(parts, one, other):
    """Tabs, no-break spaces and double spaces come with copying from a spreadsheet."""
    assert fold(one.join(parts)) == fold(other + other.join(parts) + one)


@given(st.text())
def test_composed_and_decomposed_letters_are_alike(text):
    """macOS writes ã as two characters, Windows as one."""
    assert fold(unicodedata.normalize("NFD", text)) == fold(unicodedata.normalize("NFC", text))


@given(st.lists(st.sampled_from("0123456789+")), st.text("-(). /"))
def test_the_punctuation_of_a_phone_number_does_not_matter(digits, punctuation):
    """People group digits as they like."""
    assert fold_phone(punctuation.join(["", *digits, ""])) == "".join(digits)


@given(st.text("0123456789"), st.text("0123456789"))
def test_other_digits_are_another_number(one, other):
    """Only punctuation is folded away."""
    assert (fold_phone(one) == fold_phone(other)) == (one == other)


def test_a_missing_phone_is_like_an_empty_one():
    """A CSV cannot tell them apart."""
    assert matching_key("A", "B", None) == matching_key("a", " b ", "") == matching_key("A", "B", "-")


@pytest.mark.parametrize(
    "other",
    [
        ("St. Mary 2", "1 Road", "555"),
        ("St. Mary", "2 Road", "555"),
        ("St. Mary", "1 Road", "556"),
        ("St Mary", "1 Road", "555"),
    ],
)
def test_what_differs_in_more_than_folding_is_another_hospital(other):
    """Name, address and phone all count, and so does punctuation in a name."""
    assert matching_key("St. Mary", "1 Road", "555") != matching_key(*other)
