"""The hospitals API, as the public directories have it."""

from collections.abc import Callable

from aiohttp import web

from deploy.local.sandbox.directory import Directory
from deploy.local.sandbox.fault_plan import Call, Kind
from deploy.local.sandbox.hospitals import Hospital, HospitalBody
from deploy.local.sandbox.request_bodies import InvalidBody, parse_body
from deploy.local.sandbox.request_handler import Reply, RequestHandler, Work, remote_port
from deploy.local.sandbox.request_log import Caller
from deploy.local.sandbox.rewriting import rewrite

NO_HOSPITAL = Reply({"detail": "Hospital not found"}, 404)


class HospitalsApi:
    """The routes. Each says what its call does; the RequestHandler decides by the fault plan whether and when."""

    def __init__(self, directory: Directory, handler: RequestHandler) -> None:
        self._directory = directory
        self._handler = handler

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_route("*", "/hospitals", redirect_to_slash)
        router.add_post("/hospitals/", self.create)
        router.add_get("/hospitals/", self.list_all)
        router.add_get("/hospitals/batch/{batch_id}", self.list_batch)
        router.add_delete("/hospitals/batch/{batch_id}", self.delete_batch)
        router.add_patch("/hospitals/batch/{batch_id}/activate", self.activate_batch)
        router.add_get("/hospitals/{hospital_id}", self.find)
        router.add_put("/hospitals/{hospital_id}", self.replace)
        router.add_delete("/hospitals/{hospital_id}", self.delete)

    async def create(self, request: web.Request) -> web.StreamResponse:
        body = parse_body(await request.read())
        if isinstance(body, InvalidBody):
            return await self._handle(request, "/hospitals/", "other", lambda _: refused(body))
        caller = caller_of(request)
        return await self._handle(
            request, "/hospitals/", "create", lambda outcome: self._create(body, outcome, caller), body.name
        )

    def _create(self, sent: HospitalBody, outcome: str, caller: Caller) -> Reply:
        hospital = self._directory.hospitals.create(rewrite(sent, self._directory.faults.rewrite))
        self._directory.request_log.created(hospital.id, sent, outcome, caller)
        return Reply(hospital.as_json())

    async def list_all(self, request: web.Request) -> web.StreamResponse:
        def work(_: str) -> Reply:
            return Reply([hospital.as_json() for hospital in self._directory.hospitals])

        return await self._handle(request, "/hospitals/", "look_up", work)

    async def list_batch(self, request: web.Request) -> web.StreamResponse:
        batch_id = request.match_info["batch_id"]

        def work(_: str) -> Reply:
            return Reply([hospital.as_json() for hospital in self._visible(batch_id)])

        return await self._handle(request, "/hospitals/batch/{batch_id}", "look_up", work)

    def _visible(self, batch_id: str) -> list[Hospital]:
        hospitals = self._directory.hospitals.of_batch(batch_id)
        return hospitals[: max(0, len(hospitals) - self._directory.faults.lookup_hides_newest)]

    async def delete_batch(self, request: web.Request) -> web.StreamResponse:
        batch_id = request.match_info["batch_id"]

        def work(_: str) -> Reply:
            deleted = self._directory.hospitals.delete_batch(batch_id)
            return Reply({"batch_id": batch_id, "deleted": deleted, "message": f"{deleted} hospitals deleted"})

        return await self._handle(request, "/hospitals/batch/{batch_id}", "other", work)

    async def activate_batch(self, request: web.Request) -> web.StreamResponse:
        batch_id = request.match_info["batch_id"]

        def work(_: str) -> Reply:
            activated = self._directory.hospitals.activate_batch(batch_id)
            if activated is None:
                return Reply({"detail": "No hospitals found for this batch"}, 404)
            return Reply({"batch_id": batch_id, "activated": activated, "message": f"{activated} hospitals activated"})

        return await self._handle(request, "/hospitals/batch/{batch_id}/activate", "activate", work)

    async def find(self, request: web.Request) -> web.StreamResponse:
        def work(_: str) -> Reply:
            return with_id(request, lambda hospital_id: found(self._directory.hospitals.find(hospital_id)))

        return await self._handle(request, "/hospitals/{hospital_id}", "look_up", work)

    async def replace(self, request: web.Request) -> web.StreamResponse:
        body = parse_body(await request.read())

        def work(_: str) -> Reply:
            if isinstance(body, InvalidBody):
                return refused(body)
            return with_id(request, lambda hospital_id: found(self._directory.hospitals.replace(hospital_id, body)))

        return await self._handle(request, "/hospitals/{hospital_id}", "other", work)

    async def delete(self, request: web.Request) -> web.StreamResponse:
        def work(_: str) -> Reply:
            return with_id(request, self._delete)

        return await self._handle(request, "/hospitals/{hospital_id}", "other", work)

    def _delete(self, hospital_id: int) -> Reply:
        if not self._directory.hospitals.delete(hospital_id):
            return NO_HOSPITAL
        return Reply({"id": hospital_id, "message": "Hospital deleted"})

    async def _handle(
        self, request: web.Request, route: str, kind: Kind, work: Work, name: str = ""
    ) -> web.StreamResponse:
        call = Call(kind, name, request.headers.get("Authorization"))
        return await self._handler.handle(request, route, call, work)


async def redirect_to_slash(request: web.Request) -> web.Response:
    """FastAPI does the same: 307, so that a POST stays a POST."""
    location = request.rel_url.with_path("/hospitals/", keep_query=True)
    return web.Response(status=307, headers={"Location": str(location)})


def caller_of(request: web.Request) -> Caller:
    headers = request.headers
    return Caller(remote_port(request), headers.get("Idempotency-Key"), headers.get("traceparent"))


def found(hospital: Hospital | None) -> Reply:
    return NO_HOSPITAL if hospital is None else Reply(hospital.as_json())


def with_id(request: web.Request, act: Callable[[int], Reply]) -> Reply:
    """Acts on the id in the path, or answers FastAPI's 422 when it is no integer."""
    text = request.match_info["hospital_id"]
    if text.isascii() and text.isdigit():
        return act(int(text))
    message = "Input should be a valid integer, unable to parse string as an integer"
    problem = {"type": "int_parsing", "loc": ["path", "hospital_id"], "msg": message, "input": text}
    return refused(InvalidBody([problem]))


def refused(bad: InvalidBody) -> Reply:
    return Reply({"detail": bad.problems}, 422)
