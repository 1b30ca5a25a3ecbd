"""Under which name a result file is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.status.result_files.download_name import content_disposition, file_name


@pytest.mark.parametrize(
    ("uploaded", "kept"),
    [
        ("hospitals.csv", "hospitals-failed.csv"),
        ("North.2026.CSV", "North.2026-failed.csv"),
        ("Krankenhäuser.csv", "Krankenhäuser-failed.csv"),
        ("../../etc/passwd", "passwd-failed.csv"),
        ("C:\\temp\\a.csv", "a-failed.csv"),
        ('a"b\r\nSet-Cookie: x.csv', "a_b__Set-Cookie_ x-failed.csv"),
        ("safe\u202egnp.csv", "safe_gnp-failed.csv"),
        ("", "hospitals-failed.csv"),
        (".csv", "csv-failed.csv"),
        ("a" * 300, "a" * 100 + "-failed.csv"),
    ],
)
def test_the_name_of_the_upload_without_what_no_computer_takes(uploaded, kept):
    """And what the file holds."""
    assert file_name(uploaded, "failed") == kept


def test_a_name_that_is_not_ascii_is_given_twice():
    """RFC 6266: for those who know it, and for those who do not."""
    assert content_disposition("hospitals-failed.csv") == 'attachment; filename="hospitals-failed.csv"'
    assert (
        content_disposition("Häuser-failed.csv")
        == "attachment; filename=\"H_user-failed.csv\"; filename*=UTF-8''H%C3%A4user-failed.csv"
    )


@given(st.text())
def test_any_name_makes_one_header_of_plain_ascii(uploaded):
    """Whatever was uploaded under whatever name."""
    header = content_disposition(file_name(uploaded, "failed"))
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
    assert "-failed.csv" in header
