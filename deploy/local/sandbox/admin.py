"""``/admin``: sets faults and reads logs and counts. No fault applies here, and nothing here is counted."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict
from itertools import islice
from math import inf
from typing import Any, NamedTuple

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deploy.local.sandbox.directory import Directory
from deploy.local.sandbox.faults import NO_FAULTS, Faults
from deploy.local.sandbox.request_handler import RequestHandler, json_response
from deploy.local.sandbox.request_log import Creation, LoggedRequest

Refuse = Callable[[float, web.Request], Awaitable[None]]
PAGE_ENTRIES = 10_000
DOUBLES_SHOWN = 1_000


class RefuseConnections(BaseModel):
    """For ``seconds`` nothing listens on the port: the kernel refuses connections."""

    model_config = ConfigDict(extra="forbid")

    seconds: float = Field(gt=0, le=3_600)


class Admin:
    """``refuse(seconds, request)`` closes the port and every connection but the request's own."""

    def __init__(self, directory: Directory, handler: RequestHandler, refuse: Refuse) -> None:
        self._directory = directory
        self._handler = handler
        self._refuse = refuse

    def add_to(self, router: web.UrlDispatcher) -> None:
        for path in ("/admin", "/admin/faults"):
            router.add_get(path, self.faults)
            router.add_put(path, self.replace_faults)
            router.add_patch(path, self.change_faults)
            router.add_post(path, self.change_faults)
            router.add_delete(path, self.clear_faults)
        router.add_get("/admin/faults/schema", self.faults_schema)
        router.add_post("/admin/refuse", self.refuse)
        router.add_post("/admin/reset", self.reset)
        router.add_get("/admin/stats", self.stats)
        router.add_delete("/admin/stats", self.clear_stats)
        router.add_get("/admin/requests", self.requests)
        router.add_get("/admin/creates", self.creates)
        router.add_get("/admin/overview", self.overview)
        router.add_delete("/admin/hospitals", self.delete_hospitals)

    async def faults(self, _: web.Request) -> web.Response:
        return json_response(self._directory.faults.model_dump(mode="json"))

    async def faults_schema(self, _: web.Request) -> web.Response:
        """All faults with their units, as JSON Schema."""
        return json_response(Faults.model_json_schema())

    async def replace_faults(self, request: web.Request) -> web.Response:
        """Faults that the body does not name are off afterwards."""
        try:
            self._directory.faults = Faults.model_validate_json(await request.read())
        except ValidationError as error:
            return problems(error)
        return await self.faults(request)

    async def change_faults(self, request: web.Request) -> web.Response:
        """Faults that the body does not name stay as they are."""
        body = await request.read()
        try:
            changes = Faults.model_validate_json(body)
            self._directory.inject(**{name: getattr(changes, name) for name in changes.model_fields_set})
        except ValidationError as error:
            return problems(error)
        return await self.faults(request)

    async def clear_faults(self, request: web.Request) -> web.Response:
        self._directory.faults = NO_FAULTS
        return await self.faults(request)

    async def refuse(self, request: web.Request) -> web.Response:
        try:
            asked = RefuseConnections.model_validate_json(await request.read())
        except ValidationError as error:
            return problems(error)
        await self._refuse(asked.seconds, request)
        response = json_response({"refusing_for_seconds": asked.seconds})
        response.force_close()
        return response

    async def reset(self, request: web.Request) -> web.Response:
        """Deletes hospitals, faults, logs and counts, and cancels late creations."""
        await self.delete_hospitals(request)
        self._directory.faults = NO_FAULTS
        self._directory.request_log.clear()
        return json_response(self._directory.counts())

    async def delete_hospitals(self, _: web.Request) -> web.Response:
        """Also cancels late creations. Logs and counts stay."""
        self._handler.cancel_late()
        self._directory.hospitals.clear()
        return json_response(self._directory.counts())

    async def stats(self, request: web.Request) -> web.Response:
        """``?window=`` in seconds (default 1) is for ``busiest_window``."""
        try:
            seconds = float(request.query.get("window", "1"))
        except ValueError:
            return json_response({"detail": "window must be a number of seconds"}, 422)
        if not 0 < seconds < inf:
            return json_response({"detail": "window must be more than 0 seconds, and not for ever"}, 422)
        return json_response(self._stats(seconds))

    def _stats(self, window: float) -> dict[str, Any]:
        request_log = self._directory.request_log
        doubles = [
            {**asdict(sent), "creates": creates} for sent, creates in islice(request_log.doubles(), DOUBLES_SHOWN)
        ]
        return {
            **self._directory.counts(),
            "creates": request_log.creates,
            "late_pending": self._handler.late_pending,
            "doubles_total": request_log.doubles_total,
            "doubles": doubles,
            "requests_total": request_log.total_requests(),
            "requests": request_log.statuses(),
            "in_flight": request_log.in_flight,
            "peak_in_flight": request_log.peak_in_flight,
            "busiest_window": {"seconds": window, "requests": request_log.busiest(window)},
        }

    async def clear_stats(self, request: web.Request) -> web.Response:
        self._directory.request_log.clear()
        return await self.stats(request)

    async def requests(self, request: web.Request) -> web.Response:
        """``?since=<seq>&limit=``: the log after that entry, oldest first. Entries are arrays that ``fields`` names."""
        return log_page(request, self._directory.request_log.requests, LoggedRequest._fields)

    async def creates(self, request: web.Request) -> web.Response:
        """As ``/admin/requests``, for creations."""
        return log_page(request, self._directory.request_log.creations, Creation._fields)

    async def overview(self, _: web.Request) -> web.Response:
        """What the page shows: counts, newest hospitals and batches, and the faults that are on."""
        hospitals, request_log = self._directory.hospitals, self._directory.request_log
        return json_response(
            {
                **self._directory.counts(),
                "creates": request_log.creates,
                "doubles_total": request_log.doubles_total,
                "requests_total": request_log.total_requests(),
                "in_flight": request_log.in_flight,
                "newest_hospitals": [hospital.as_json() for hospital in hospitals.newest(12)],
                "newest_batches": hospitals.newest_batches(8),
                "faults": self._directory.faults.model_dump(mode="json", exclude_defaults=True),
            }
        )


def log_page(request: web.Request, log: Iterable[NamedTuple], fields: tuple[str, ...]) -> web.Response:
    """``{fields, entries, next_since}``: give ``next_since`` as ``since`` to go on."""
    try:
        since, limit = int(request.query.get("since", "0")), int(request.query.get("limit", str(PAGE_ENTRIES)))
    except ValueError:
        return json_response({"detail": "since and limit must be whole numbers"}, 422)
    newer = [entry for entry in log if entry[0] > since][: max(1, limit)]
    return json_response({"fields": fields, "entries": newer, "next_since": newer[-1][0] if newer else since})


def problems(error: ValidationError) -> web.Response:
    return json_response({"detail": error.errors(include_url=False, include_context=False, include_input=False)}, 422)
