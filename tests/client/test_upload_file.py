"""A file is sent piece by piece."""

import httpx

from client.api import Api, open_client
from client.retry import RetryPolicy
from client.upload_file import UploadFile
from tests.client.fake_service import checked

MEGABYTE = 1_000_000


class Measuring(httpx.BaseTransport):
    """Takes a body piece by piece, as a connection does, and keeps the lengths."""

    def handle_request(self, request):
        self.announced = int(request.headers["content-length"])
        self.pieces = [len(piece) for piece in request.stream]
        return httpx.Response(200, json=checked())


def test_a_large_file_is_never_held_whole(tmp_path):
    """Its length is announced, its pieces are small, and each is counted."""
    path = tmp_path / "large.csv"
    path.write_bytes(b"x" * 8 * MEGABYTE)
    transport, counted = Measuring(), []
    with open_client("http://hospital.example", None, transport) as client:
        Api(client, RetryPolicy()).validate(UploadFile(path, path.name, counted.append), {})
    pieces = transport.pieces
    assert transport.announced == sum(pieces)
    assert sum(pieces) > 8 * MEGABYTE
    assert max(pieces) < MEGABYTE
    assert counted[-1] == 8 * MEGABYTE
    assert counted == sorted(counted)
