"""Merkle trees over a job's rows: as RFC 6962 defines them, and as the examples have them."""

import hashlib
import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import shared.contract
from shared.contract.events import JobFinished
from shared.contract.outcomes_tree import MerkleTree, OutcomesTree, leaf, outcomes_root

EXAMPLES = Path(shared.contract.__file__).parent / "examples"


def merkle_tree_hash(leaves):
    """RFC 6962, 2.1, word by word."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + merkle_tree_hash(leaves[:k]) + merkle_tree_hash(leaves[k:])).digest()


@given(st.lists(st.binary(max_size=3), max_size=70))
def test_the_tree_that_grows_is_that_of_the_rfc(leaves):
    """Whatever its size."""
    tree = MerkleTree()
    for each in leaves:
        tree.add(each)
    assert tree.root() == merkle_tree_hash(leaves)


def test_a_leaf_is_json_as_javascript_writes_it():
    """So that any language can make it."""
    assert leaf(2, "created", 17, ["St. Mary's", 'a "b"\n', "ü", "", ""]) == (
        '[2,"created","17","St. Mary\'s","a \\"b\\"\\n","ü"]'.encode()
    )
    assert leaf(3, "failed", None, []) == b'[3,"failed",""]'


def test_each_outcome_has_a_tree_of_its_own():
    """So a file of one outcome can be checked without the others."""
    all_of_it, created = OutcomesTree(), OutcomesTree()
    for row in range(2, 20):
        status = "created" if row % 2 else "failed"
        all_of_it.add(row, status, row if row % 2 else None, [f"Hospital {row}"])
        if row % 2:
            created.add(row, status, row, [f"Hospital {row}"])
    assert all_of_it.roots().created == created.roots().created
    assert all_of_it.roots().failed != created.roots().failed == hashlib.sha256().hexdigest()


def test_the_example_s_roots_are_those_of_its_rows():
    """Somebody who writes a reader can compare."""
    finished = JobFinished.model_validate_json((EXAMPLES / "JobFinished.json").read_text("utf-8"))
    tree = OutcomesTree()
    for name, hospital_id in (("RowCreated", 4711), ("RowFailed", 4712), ("RowUnprocessed", 4713)):
        event = json.loads((EXAMPLES / f"{name}.json").read_text("utf-8"))
        tree.add(event["row"], "created", hospital_id, event["cells"])
    assert finished.outcome_roots == tree.roots()
    assert finished.outcomes_root == outcomes_root(tree.roots())
