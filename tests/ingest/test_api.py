"""The HTTP interface without Kafka: whatever can be said of a request before Kafka is needed is said."""

import asyncio
import hashlib
import tempfile
import time

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.ingest.file_workers import LARGE_FILE_BYTES
from services.ingest.service import Limits
from services.ingest.upload.admission import AdmissionLimits
from services.ingest.upload.body import BodyTimeouts
from services.ingest.upload.parameters import NAMES
from tests.ingest import nasty_files
from tests.support.ingest.ingest_server import CSV, UPLOAD, VALIDATE, ingest, upload
from tests.support.ingest.workbooks import with_cell, xlsx

KAFKA_DOWN = "Service temporarily unavailable. The message queue is currently down. Please try again later."


@pytest.fixture
async def client(tmp_path):
    """A service whose Kafka is down."""
    async with ingest(tmp_path) as client:
        yield client


@pytest.mark.parametrize("size", [0, LARGE_FILE_BYTES + 1], ids=["small", "large"])
async def test_an_upload_without_kafka_is_503_within_two_seconds(client, size):
    """In the words that clients know, and with when to come back."""
    began = time.monotonic()
    answer = await upload(client, CSV.ljust(size, b"\n"))

    assert time.monotonic() - began < 2
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"]
    assert answer.json()["detail"] == KAFKA_DOWN


async def test_a_refusal_is_no_error_of_the_trace(tmp_path):
    """It says what was answered; a stack with each would make many refusals cost a third more."""
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    async with ingest(tmp_path, tracer=provider.get_tracer("test")) as client:
        await upload(client, CSV, None)

    (span,) = spans.get_finished_spans()
    assert (span.attributes, span.events) == ({"error_type": "missing_idempotency_key"}, ())
    assert span.status.is_ok


async def test_every_nasty_file_gets_its_answer(client):
    """Over HTTP, with every refusal a problem document and none of them a 5xx."""
    for file in nasty_files.REFUSED:
        if len(file.content) > LARGE_FILE_BYTES:
            continue
        answer = await upload(client, file.content, file_name=file.file_name)

        assert answer.status_code == file.status, file.what
        assert answer.headers["content-type"] == "application/problem+json"
        assert file.words in answer.text.replace('\\"', '"'), file.what


async def test_large_nasty_files_are_read_by_another_process(client):
    """Their upload needs Kafka while they are read, so here it is the dry run."""
    large = [file for file in nasty_files.REFUSED if len(file.content) > LARGE_FILE_BYTES]
    for file in large:
        answer = await upload(client, file.content, None, path=VALIDATE)

        assert answer.json()["valid"] is False, file.what
        assert file.words in answer.text, file.what
    assert len(large) > 2


async def test_nasty_files_that_are_fine_are_found_valid(client):
    """Nothing is refused that can be understood."""
    for file in nasty_files.ACCEPTED:
        answer = await upload(client, file.content, None, path=VALIDATE, file_name=file.file_name)

        assert answer.status_code == 200, file.what
        assert answer.json()["valid"] is True, file.what


async def test_a_dry_run_needs_no_kafka_and_no_key(client):
    """It says what an upload would say, and how long the job would take."""
    answer = await upload(client, CSV + b",x,\n", None, path=VALIDATE)

    assert answer.json() == {
        "valid": False,
        "total_hospitals": 3,
        "errors": [
            {"row": 4, "column": "name", "code": "missing_value", "message": "The name is missing.", "value": None}
        ],
        "errors_total": 1,
        "warnings": [],
        "warnings_total": 0,
        "mapping": {"name": ["name"], "address": ["address"], "phone": ["phone"], "unused": []},
        "encoding": "utf-8",
        "encoding_guesses": [],
        "delimiter": ",",
        "header_row": 1,
        "sheet": None,
        "sheets": [],
        "sample": [
            {"row": 2, "name": "St. Mary", "address": "1 Main St", "phone": "555-0101"},
            {"row": 3, "name": "Mercy", "address": "2 Main St", "phone": None},
        ],
        "estimated_seconds": 0.3,
        "same_file_as": [],
        "already_created": {"count": 0, "rows": []},
        "corrects": None,
    }


@pytest.mark.parametrize("place", ["params", "data"])
async def test_a_request_says_how_its_file_is_to_be_read(client, place):
    """In the query or as form fields."""
    content = "sep=;\r\nx;y\r\nKlinik;Straße;Ort\r\nSüd;Weg 1;Köln\r\n".encode("cp1252")
    said = {
        "mapping": '{"name": "klinik", "address": ["Straße", "ort"], "phone": null}',
        "encoding": "windows-1252",
        "header_row": "3",
        "strict": "false",
        "anything": "else",
    }
    answer = await client.post(VALIDATE, files={"file": ("a.csv", content)}, **{place: said})
    found = answer.json()
    assert (found["valid"], found["encoding"], found["delimiter"], found["header_row"]) == (
        True,
        "windows-1252",
        ";",
        3,
    )
    assert found["mapping"] == {"name": ["Klinik"], "address": ["Straße", "Ort"], "phone": [], "unused": []}
    assert found["sample"] == [{"row": 4, "name": "Süd", "address": "Weg 1, Köln", "phone": None}]


async def test_a_workbook_is_read_and_its_sheets_are_told(client):
    """By the dry run; an upload needs Kafka and waits for nothing else."""
    content = xlsx({"Liste": [["Klinik", "Anschrift"], ["Süd", "Ringstraße 8"]], "Other": []})
    found = (await upload(client, content, None, path=VALIDATE, file_name="liste.xlsx")).json()
    assert (found["valid"], found["sheet"], found["sheets"]) == (True, "Liste", ["Liste", "Other"])
    assert (found["encoding"], found["delimiter"]) == (None, None)
    assert found["sample"] == [{"row": 2, "name": "Süd", "address": "Ringstraße 8", "phone": None}]
    began = time.monotonic()
    assert (await upload(client, content, file_name="liste.xlsx")).json()["detail"] == KAFKA_DOWN
    assert time.monotonic() - began < 3
    huge = await upload(client, with_cell(content, "XFD1048576"), None, path=VALIDATE, file_name="liste.xlsx")
    assert (huge.status_code, huge.json()["error_type"]) == (413, "workbook_too_large")


async def test_an_unknown_encoding_comes_with_guesses(client):
    """At the top of both answers."""
    content = "name,address\nCafé,Straße 1\n".encode("cp1252")
    checked, refused = await upload(client, content, None, path=VALIDATE), await upload(client, content)
    best = {"encoding": "windows-1252", "sample": "Café, Straße 1"}
    assert checked.json()["encoding_guesses"][0] == refused.json()["encoding_guesses"][0] == best
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "unknown_encoding")


async def test_strict_makes_warnings_errors(client):
    """For programs that nobody watches."""
    content = b"name,address,city\na,b,c\n"
    lax = (await upload(client, content, None, path=VALIDATE)).json()
    strict = (await upload(client, content, None, path=VALIDATE, params={"strict": "true"})).json()
    assert (lax["valid"], lax["warnings_total"], lax["warnings"][0]["code"]) == (True, 1, "unused_column")
    assert (strict["valid"], strict["errors_total"], strict["errors"]) == (False, 1, lax["warnings"])


async def test_a_parameter_may_come_twice_when_it_means_the_same(client):
    """Generated clients send some in the query and in the form, each in its own spelling."""
    query = {"strict": "true", "mapping": '{"name": "a", "address": "b"}'}
    form = {"strict": "True", "mapping": '{"address": "b", "name": "a"}'}
    answer = await client.post(VALIDATE, files={"file": ("a.csv", b"a,b\n1,2\n")}, params=query, data=form)
    assert (answer.status_code, answer.json()["valid"]) == (200, True)
    form["strict"] = "false"
    answer = await client.post(VALIDATE, files={"file": ("a.csv", b"a,b\n1,2\n")}, params=query, data=form)
    assert answer.status_code == 400
    assert "`strict` is sent with different values" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("mapping", text)
            for text in ("x", "[]", "[" * 5_000, '{"beds": "a"}', '{"name": 1}', '{"name": ["a", "a"]}')
        ),
        *(("header_row", text) for text in ("x", "-1", "1.5", "99999999999")),
        ("encoding", "nothing"),
        ("strict", "perhaps"),
        ("repeat_created", "2"),
        ("max_failures", "101%"),
        ("corrects", "the last one"),
    ],
)
async def test_a_malformed_parameter_is_400_and_named(client, name, value):
    """Before anything is read by it."""
    answer = await upload(client, CSV, None, path=VALIDATE, params={name: value})
    assert (answer.status_code, answer.json()["error_type"]) == (400, "invalid_parameter")
    assert answer.json()["detail"].startswith(f"`{name}` ")


async def test_a_parameter_sent_twice_has_to_say_the_same(client):
    """Nobody could tell which one counts."""
    file = {"file": ("a.csv", CSV)}
    same = await client.post(VALIDATE, files=file, data={"encoding": "utf-8"}, params={"encoding": "utf-8"})
    other = await client.post(VALIDATE, files=file, data={"encoding": "utf-8"}, params={"encoding": "cp1252"})
    assert (same.status_code, other.status_code) == (200, 400)


@pytest.mark.parametrize("path", ["/health", "/metrics", "/openapi.json", "/docs"])
async def test_head_answers_wherever_get_does(client, path):
    """With the same status, and without a body."""
    head = await client.head(path)
    assert (head.status_code, head.content) == ((await client.get(path)).status_code, b"")


async def test_duplicates_are_allowed_by_asking(client):
    """A query parameter, for both routes."""
    twice = CSV + b"MERCY,2 main st,\n"

    refused = await upload(client, twice, None, path=VALIDATE)
    allowed = await upload(client, twice, None, path=VALIDATE, params={"allow_duplicates": "true"})

    assert refused.json()["errors"][0]["row"] == 4
    assert allowed.json()["valid"] is True


@pytest.mark.parametrize(
    ("key", "error_type"),
    [(None, "missing_idempotency_key"), ("x" * 256, "malformed_idempotency_key"), ('"', "malformed_idempotency_key")],
)
async def test_a_missing_or_malformed_key_is_400(client, key, error_type):
    """Before the file is looked at."""
    answer = await upload(client, b"", key)

    assert (answer.status_code, answer.json()["error_type"]) == (400, error_type)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({}, 400),
        ({"data": {"a": "b"}}, 400),
        ({"files": {"document": ("a.csv", CSV)}}, 400),
        ({"json": {"file": "a"}}, 415),
        ({"content": CSV, "headers": {"Content-Type": "text/csv"}}, 415),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 400),
        ({"content": b"--b\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 400),
        ({"content": b"", "headers": {"Content-Type": "multipart/form-data; boundary=" + "b" * 5000}}, 400),
        ({"files": {"file": ("a.csv", CSV)}, "headers": {"Content-Encoding": "gzip"}}, 415),
        ({"files": [("file", ("a.csv", CSV)), ("file", ("b.csv", CSV))]}, 400),
    ],
)
async def test_a_request_without_one_csv_file_is_refused(client, request_, status):
    """Whatever it holds instead."""
    headers = {"Idempotency-Key": "k", **request_.pop("headers", {})}

    answer = await client.post(UPLOAD, headers=headers, **request_)

    assert answer.status_code == status
    assert answer.json()["detail"]


async def test_a_client_that_leaves_in_the_middle_does_no_harm(client):
    """Its upload ends, and the next is served."""
    _, writer = await half_an_upload(client)
    writer.close()

    assert (await upload(client, CSV, None, path=VALIDATE)).status_code == 200


async def test_a_body_that_stops_coming_is_408(tmp_path):
    """A slow client holds nothing for ever."""
    async with ingest(tmp_path, limits=Limits(body=BodyTimeouts(chunk_seconds=0.2))) as client:
        reader, writer = await half_an_upload(client)
        async with asyncio.timeout(10):
            status = await reader.readline()
        writer.close()

    assert b" 408 " in status


async def test_a_body_that_never_begins_is_408(tmp_path):
    """The headers announce one, and nothing follows."""
    async with ingest(tmp_path, limits=Limits(body=BodyTimeouts(chunk_seconds=0.2))) as client:
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        head = "POST /api/v1/hospitals/validate HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n"
        writer.write(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode())
        async with asyncio.timeout(10):
            status = await reader.readline()
        writer.close()

    assert b" 408 " in status


@pytest.mark.parametrize("announced", [True, False])
async def test_a_file_over_the_limit_is_413(tmp_path, announced):
    """Announced by its length or not, and the client gets to read why."""

    async def chunks():
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        for _ in range(200):
            yield b"x" * 10_000
        yield b"\r\n--b--\r\n"

    async with ingest(tmp_path, max_upload_bytes=1_000_000) as client:
        headers = {"Content-Type": "multipart/form-data; boundary=b", "Idempotency-Key": "k"}
        content = b"".join([chunk async for chunk in chunks()]) if announced else chunks()
        answer = await client.post(UPLOAD, content=content, headers=headers)

    assert (answer.status_code, answer.json()["error_type"]) == (413, "file_too_large")


async def test_a_body_that_grows_beside_the_file_is_413(tmp_path):
    """What is no file counts too, though it is not kept."""

    async def chunks():
        yield b'--b\r\nContent-Disposition: form-data; name="comment"\r\n\r\n'
        for _ in range(200):
            yield b"x" * 10_000
        yield b"\r\n--b--\r\n"

    async with ingest(tmp_path, max_upload_bytes=1_000_000) as client:
        headers = {"Content-Type": "multipart/form-data; boundary=b", "Idempotency-Key": "k"}
        answer = await client.post(UPLOAD, content=chunks(), headers=headers)

    assert (answer.status_code, answer.json()["error_type"]) == (413, "file_too_large")


async def test_more_rows_than_allowed_are_413(tmp_path):
    """For the upload as for the dry run."""
    async with ingest(tmp_path, max_csv_rows=1) as client:
        answers = [await upload(client, CSV), await upload(client, CSV, None, path=VALIDATE)]

    assert [(answer.status_code, answer.json()["error_type"]) for answer in answers] == [(413, "too_many_rows")] * 2


async def test_short_rows_under_long_column_names_are_taken(client):
    """Their records do not repeat the names: once these were 300 times as large as the file, and refused."""
    names = ",".join(["name", "address", *(f"{number:03}" + "🏥" * 189 for number in range(498))])
    content = (names + "\n" + "".join(f"n{number},a{number}\n" for number in range(300))).encode()
    answer = await upload(client, content, None, path=VALIDATE)

    assert 380_000 < len(content) < LARGE_FILE_BYTES
    assert (answer.status_code, answer.json()["total_hospitals"]) == (200, 300)


async def test_only_tenants_get_in_where_keys_are_set(tmp_path):
    """By the header, or by the page's cookie."""
    digest = hashlib.sha256(b"secret").hexdigest()
    async with ingest(tmp_path, api_keys=f"north:{digest}") as client:
        answers = [
            await upload(client, CSV, path=VALIDATE, headers=headers)
            for headers in ({}, {"X-API-Key": "wrong"}, {"X-API-Key": "secret"}, {"Cookie": "hospital_session=secret"})
        ]

    assert [answer.status_code for answer in answers] == [401, 401, 200, 200]
    assert answers[0].headers["content-type"] == "application/problem+json"


async def test_more_uploads_than_there_is_room_for_are_told_to_come_back(tmp_path):
    """Instead of a queue without end."""
    async with ingest(tmp_path, limits=Limits(admission=AdmissionLimits(uploads=0))) as client:
        answer = await upload(client, CSV)

    assert (answer.status_code, answer.json()["error_type"]) == (503, "busy")
    assert answer.headers["retry-after"]


async def test_one_tenant_s_flood_leaves_room_for_the_others(tmp_path):
    """429 with when to come back; for uploads and dry runs alike."""
    keys = ",".join(f"{tenant}:{hashlib.sha256(tenant.encode()).hexdigest()}" for tenant in ("north", "south"))
    async with ingest(tmp_path, api_keys=keys, tenant_uploads_per_minute=2) as client:
        north = [
            await upload(client, b"", path=path, headers={"X-API-Key": "north"}) for path in [UPLOAD, VALIDATE] * 2
        ]
        south = await upload(client, CSV, path=VALIDATE, headers={"X-API-Key": "south"})

    assert [answer.status_code for answer in north] == [400, 200, 429, 429]
    assert north[2].headers["retry-after"] == "30"
    assert south.status_code == 200


async def test_without_a_limit_nobody_is_held_up(tmp_path):
    """0 means none."""
    async with ingest(tmp_path, tenant_uploads_per_minute=0) as client:
        answers = [await upload(client, CSV, path=VALIDATE) for _ in range(3)]

    assert {answer.status_code for answer in answers} == {200}


async def test_readiness_names_what_is_missing(client):
    """Kafka is, the database is not."""
    answer = await client.get("/health/ready")

    assert answer.status_code == 503
    assert answer.json()["dependencies"]["kafka"]["status"] == "unavailable"
    assert answer.json()["dependencies"]["database"]["status"] == "ok"
    assert answer.json()["dependencies"]["created_rows"] == {"status": "ok", "detail": "not read yet"}
    assert (await client.get("/health")).status_code == 200


async def test_uploads_are_counted_by_how_they_ended(client):
    """For the people who run it."""
    await upload(client, b"")

    metrics = (await client.get("/metrics")).text

    assert 'hospital_ingest_uploads_total{outcome="invalid_file"}' in metrics
    assert "hospital_ingest_publish_seconds_bucket" in metrics


async def test_the_documentation_shows_the_file_the_key_and_the_errors(client):
    """Every reference in it leads somewhere."""
    document = (await client.get("/openapi.json")).json()
    operation = document["paths"][UPLOAD]["post"]

    assert "multipart/form-data" in operation["requestBody"]["content"]
    assert {parameter["name"] for parameter in operation["parameters"]} == {*NAMES, "Idempotency-Key"}
    assert {"202", "400", "401", "408", "409", "413", "415", "422", "503"} <= set(operation["responses"])
    assert "application/problem+json" in operation["responses"]["409"]["content"]
    assert _references(document) <= {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert (await client.get("/docs")).status_code == 200


def _references(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(_references(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(_references(value) for value in node))
    return set()


async def test_no_upload_is_left_behind(tmp_path, monkeypatch):
    """Neither one that was refused, nor one that broke off; and nothing at all when the service ends."""
    spooled = tmp_path / "spooled"
    spooled.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spooled))
    async with ingest(tmp_path) as client:
        (place,) = spooled.iterdir()
        await upload(client, CSV)
        await upload(client, b"")
        _, writer = await half_an_upload(client)
        writer.close()
        await upload(client, CSV)
        async with asyncio.timeout(5):
            while len(left := list(place.iterdir())) > 1:  # noqa: ASYNC110 - another task removes them
                await asyncio.sleep(0.01)
        assert [path.name for path in left] == ["in-use"]

    assert list(spooled.iterdir()) == []


async def test_without_its_database_an_upload_is_503_within_two_seconds(tmp_path):
    """Nothing listens where PostgreSQL should be."""
    async with ingest(tmp_path, ingest_database_url="postgresql://nobody@127.0.0.1:1/none") as client:
        began = time.monotonic()
        answer = await upload(client, CSV)
        took = time.monotonic() - began
        dry_run = await upload(client, CSV, path=VALIDATE)

    assert (answer.status_code, answer.json()["error_type"]) == (503, "database_unavailable")
    assert dry_run.status_code == 503
    assert took < 2


async def half_an_upload(client: httpx.AsyncClient) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which the beginning of an upload was sent, and no more."""
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    head = "POST /api/v1/hospitals/bulk HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nContent-Length: 9999\r\n"
    writer.write(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n".encode())
    await writer.drain()
    return reader, writer
