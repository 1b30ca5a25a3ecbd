"""The header Idempotency-Key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.upload.idempotency_key import idempotency_key
from shared.runtime.http.problems import Problem


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=255))
def test_quoted_and_unquoted_are_the_same_key(key):
    """RFC 8941 quotes it, most clients do not."""
    quoted = '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'

    assert idempotency_key([quoted]) == key


def test_a_plain_key_is_taken_as_it_is():
    """Spaces around it are the transport's."""
    assert idempotency_key([" abc-1 "]) == "abc-1"


@pytest.mark.parametrize(
    ("values", "error_type"),
    [
        ([], "missing_idempotency_key"),
        ([""], "malformed_idempotency_key"),
        (['""'], "malformed_idempotency_key"),
        (["   "], "malformed_idempotency_key"),
        (['"   "'], "malformed_idempotency_key"),
        (["x" * 256], "malformed_idempotency_key"),
        (['"open'], "malformed_idempotency_key"),
        (["caf\xe9"], "malformed_idempotency_key"),
        (["a\tb"], "malformed_idempotency_key"),
        (["a", "b"], "malformed_idempotency_key"),
    ],
)
def test_other_keys_are_refused(values, error_type):
    """With the reason in words."""
    with pytest.raises(Problem) as refusal:
        idempotency_key(values)

    assert (refusal.value.status, refusal.value.error_type) == (400, error_type)


def test_the_longest_key_is_taken_quotes_aside():
    """255 characters of its own."""
    assert len(idempotency_key(['"' + "x" * 255 + '"'])) == 255
