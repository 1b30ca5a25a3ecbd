"""Public lists of hospitals are read as they are: over HTTP, with every phone."""

import json

import pytest

from tests.support.ingest.ingest_server import VALIDATE, ingest, upload
from tests.support.ingest.public_files import PUBLIC_FILES


@pytest.mark.parametrize("file", PUBLIC_FILES, ids=lambda file: file.name)
async def test_a_public_list_is_read_with_at_most_one_question(tmp_path, file):
    """Its encoding, or the columns that it does not name."""
    parameters = {"header_row": "0", "mapping": json.dumps(dict(file.letters))} if file.letters else {}
    async with ingest(tmp_path) as client:
        answer = await upload(client, file.content, None, path=VALIDATE, file_name=file.name, params=parameters)
        if file.reads_right:
            right = [guess for guess in answer.json()["encoding_guesses"] if file.reads_right in guess["sample"]]
            parameters["encoding"] = file.encoding
            assert [guess["encoding"] for guess in right] == [file.encoding]
            answer = await upload(client, file.content, None, path=VALIDATE, file_name=file.name, params=parameters)
    found = answer.json()
    assert (found["valid"], found["total_hospitals"]) == (True, len(file.hospitals))
    assert [(row["name"], row["address"], row["phone"]) for row in found["sample"]] == list(file.hospitals)
    assert {warning["code"] for warning in found["warnings"]} <= {"unused_column"}


def test_the_lists_have_the_columns_of_the_real_ones():
    """As many as they have."""
    assert [file.content.split(b"\r\n")[0].count(b",") + 1 for file in PUBLIC_FILES] == [34, 16, 27, 22, 17]
