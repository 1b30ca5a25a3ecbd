"""Two OpenAPI documents become one that says what this origin answers."""

import aiohttp
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from deploy.origin.openapi import merge
from shared.runtime.http.health import health_routes
from tests.deploy.origin.origin_upstreams import json_answer, origin, upstream


def document(paths=(), schemas=None, **others):
    """A small OpenAPI document; a path is given with its operationId."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1"},
        "paths": {path: {"get": {"operationId": name, "responses": {}}} for path, name in dict(paths).items()},
        "components": {"schemas": schemas or {}},
        **others,
    }


OWN = document({"/health": "health"})


def test_each_service_gives_the_paths_that_the_origin_sends_to_it():
    """A path of ingest that the origin sends to status is not offered as ingest's."""
    ingest = document({"/api/v1/hospitals/bulk": "bulk", "/api/v1/other": "other", "/metrics": "m"})
    status = document({"/api/v1/hospitals/jobs": "jobs", "/health/ready": "ready"})
    merged = merge({"ingest": ingest, "status": status}, OWN)
    assert set(merged["paths"]) == {"/health", "/api/v1/hospitals/bulk", "/api/v1/hospitals/jobs"}


def test_a_component_that_both_define_alike_is_there_once():
    """The problem document above all."""
    alike = {"Problem": {"type": "object"}}
    merged = merge({"ingest": document(schemas=alike), "status": document(schemas=alike)}, OWN)
    assert merged["components"]["schemas"] == alike


def test_a_component_that_both_define_differently_is_there_twice_and_every_reference_finds_its_own():
    """Also the reference of a component that is alike in both but for what it refers to."""
    job = {"$ref": "#/components/schemas/Job"}
    jobs = {"type": "array", "items": job}
    ingest = document(schemas={"Job": {"type": "string"}, "Jobs": jobs})
    status = document({"/x": "x"}, schemas={"Job": {"type": "integer"}, "Jobs": jobs})
    status["paths"]["/x"]["get"]["responses"]["200"] = {"$ref": "#/components/schemas/Jobs"}

    merged = merge({"ingest": ingest, "status": status}, OWN)

    assert merged["components"]["schemas"] == {
        "Job": {"type": "string"},
        "Jobs": jobs,
        "StatusJob": {"type": "integer"},
        "StatusJobs": {"type": "array", "items": {"$ref": "#/components/schemas/StatusJob"}},
    }
    assert merged["paths"]["/x"]["get"]["responses"]["200"] == {"$ref": "#/components/schemas/StatusJobs"}


def test_an_operation_id_stays_unique():
    """Generated clients name their functions by it."""
    ingest = document({"/api/v1/hospitals/bulk": "send"})
    merged = merge({"ingest": ingest, "status": document({"/x": "send"})}, OWN)
    ids = [item["get"]["operationId"] for item in merged["paths"].values()]
    assert ids == ["health", "send", "status_send"]


def test_security_schemes_and_tags_of_both_are_kept():
    """Each once."""
    scheme = {"securitySchemes": {"key": {"type": "apiKey"}}}
    ingest = {**document(tags=[{"name": "upload"}, {"name": "ops"}]), "components": scheme}
    status = {**document(tags=[{"name": "ops"}]), "components": scheme}
    merged = merge({"ingest": ingest, "status": status}, OWN)
    assert merged["components"]["securitySchemes"] == scheme["securitySchemes"]
    assert [tag["name"] for tag in merged["tags"]] == ["upload", "ops"]


def test_the_documents_given_are_left_as_they_were():
    """Merging twice gives the same."""
    ingest, status = document({"/api/v1/hospitals/bulk": "health"}), document({"/x": "health"}, {"A": {}})
    assert merge({"ingest": ingest, "status": status}, OWN) == merge({"ingest": ingest, "status": status}, OWN)


class Accepted(BaseModel):
    """What an upload answers."""

    job_id: str


def described(*paths):
    """The document that a FastAPI service with these paths and the common ones gives."""
    app = FastAPI(title="service")
    app.include_router(health_routes({}))
    for path in paths:

        @app.get(path)
        async def call() -> Accepted:
            return Accepted(job_id="")

    return app.openapi()


async def test_the_origin_shows_both_services_as_one_document():
    """With what it answers itself, and every reference leads somewhere."""
    async with (
        upstream(json_answer(200, described("/api/v1/hospitals/bulk"))) as ingest,
        upstream(json_answer(200, described("/api/v1/hospitals/jobs"))) as status,
        origin(ingest=ingest, status=status) as running,
        aiohttp.ClientSession() as session,
        session.get(f"{running.url}/openapi.json") as answer,
    ):
        merged = await answer.json()
    assert set(merged["paths"]) == {"/health", "/health/ready", "/api/v1/hospitals/bulk", "/api/v1/hospitals/jobs"}
    assert references(merged) <= {f"#/components/schemas/{name}" for name in merged["components"]["schemas"]}
    assert references(merged) >= {"#/components/schemas/Accepted", "#/components/schemas/Readiness"}


def references(node) -> set[str]:
    if isinstance(node, dict):
        return {node["$ref"]} if "$ref" in node else set().union(*map(references, node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


@pytest.mark.parametrize("answer", [json_answer(500, {}), None], ids=["in trouble", "down"])
async def test_a_service_without_a_document_is_named(answer):
    """503, and the page can be loaded again later."""
    async with (
        upstream(json_answer(200, described())) as well,
        upstream(answer or json_answer(200, {})) as ill,
        origin(status=well, **({"ingest": ill} if answer else {})) as running,
        aiohttp.ClientSession() as session,
        session.get(f"{running.url}/openapi.json") as got,
    ):
        problem = await got.json()
    assert (got.status, got.content_type) == (503, "application/problem+json")
    assert "ingest" in problem["detail"]
    assert "status" not in problem["detail"]


async def test_the_documentation_page_needs_no_other_host():
    """Its script and style come from the origin, and are there."""
    async with origin() as running, aiohttp.ClientSession() as session:
        async with session.get(f"{running.url}/docs") as answer:
            page = await answer.text()
        assert "https://" not in page
        for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
            assert f'"/docs/assets/{asset}"' in page
            async with session.get(f"{running.url}/docs/assets/{asset}") as answer:
                assert answer.status == 200
                assert len(await answer.read()) > 50_000


async def test_metrics_are_not_the_origins():
    """A scraper that asks the wrong one is told where they are."""
    async with (
        origin() as running,
        aiohttp.ClientSession() as session,
        session.get(f"{running.url}/metrics") as answer,
    ):
        assert answer.status == 404
        assert f"{running.services['processor']}/metrics" in (await answer.json())["detail"]
