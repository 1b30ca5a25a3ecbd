"""What a request says about its file: when two requests ask for the same."""

import json

import pytest

from services.ingest.keys.tables import reservations
from services.ingest.upload.parameters import MAX_FINGERPRINT, upload_parameters
from shared.runtime.http.problems import Problem

JOB_ID = "6f1c1f0e-52f4-4f0e-9d4e-0d9f2a1b7c11"
SHA256_CHARS = 64


def fingerprint(**said: str) -> str:
    """Of a request that says this."""
    return upload_parameters({name: [value] for name, value in said.items()}, {}).fingerprint


def test_requests_that_ask_for_the_same_have_one_fingerprint():
    """However they write it. One that says nothing has that of version 0.1.0."""
    assert fingerprint() == fingerprint(strict="no") == "False"
    assert fingerprint(allow_duplicates="1") == "True"
    assert fingerprint(max_failures="5 %") == fingerprint(max_failures="5.0%") == fingerprint(max_failures="05%")
    assert fingerprint(corrects=JOB_ID) == fingerprint(corrects=f" {JOB_ID.upper()}")


def test_requests_that_ask_for_something_else_have_another():
    """No failure allowed is not the same as nothing said."""
    said = [
        {},
        *({"max_failures": text} for text in ("0", "5", "5%", "0%")),
        *({"corrects": JOB_ID[:-1] + digit} for digit in "01"),
        *({"mapping": json.dumps({"name": column * 50})} for column in "ab"),
    ]
    assert len({fingerprint(**each) for each in said}) == len(said)


def test_a_fingerprint_fits_into_its_column():
    """Also of a request that says much: PostgreSQL takes no more than the column has."""
    long = fingerprint(mapping=json.dumps({"address": [f"column {number}" for number in range(20)]}), corrects=JOB_ID)
    assert len(long) <= MAX_FINGERPRINT
    assert reservations.c.fingerprint.type.length >= SHA256_CHARS + 1 + MAX_FINGERPRINT


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("max_failures", text) for text in ("-1", "5.5", "101%", "%", "half", "1e3", "\u0665")),
        *(("corrects", text) for text in ("7", JOB_ID[:-1], f"{JOB_ID}0", "x" * 200)),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_can(name, text):
    """By the parameter's name."""
    with pytest.raises(Problem, match=rf"^`{name}` has to be .*, not ") as refusal:
        upload_parameters({name: [text]}, {})
    assert refusal.value.status == 400


def test_the_row_of_the_header_is_one_that_is_looked_at():
    """A number is read whole, however many digits it has."""
    for text, row in {"0": 0, "7": 7, "007": 7, "10000": 10_000}.items():
        assert upload_parameters({"header_row": [text]}, {}).header_row == row
    for text in (
        "10001",
        "000000000010001",
        "0" * 9 + "5",
        "1" * 4_400,
        "0" * 4_400,
        "-1",
        "+1",
        "1.0",
        " 1",
        "\u0661",
    ):
        with pytest.raises(Problem, match=r"^`header_row` has to be ") as refusal:
            upload_parameters({"header_row": [text]}, {})
        assert refusal.value.status == 400
