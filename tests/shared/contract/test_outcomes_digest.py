"""The hash by which a reader sees that it has every result."""

import hashlib

import pytest

from shared.contract.outcomes_digest import OutcomesDigest


def test_the_hash_is_over_one_line_a_row():
    """So a reader in any language can make it from the docstring of JobFinished."""
    digest = OutcomesDigest()
    digest.add(2, "created", 1017)
    digest.add(3, "created", "h-ü")
    digest.add(4, "failed")
    digest.add(10, "unprocessed")
    assert (
        digest.hexdigest()
        == hashlib.sha256("2:created:1017\n3:created:h-ü\n4:failed:\n10:unprocessed:\n".encode()).hexdigest()
    )


@pytest.mark.parametrize("row", [2, 3])
def test_rows_in_another_order_are_refused(row):
    """They would give another hash, and nobody would know why."""
    digest = OutcomesDigest()
    digest.add(3, "failed")
    with pytest.raises(ValueError, match=f"row {row} after row 3"):
        digest.add(row, "failed")
