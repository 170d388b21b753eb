"""Pages about the service itself: what each problem means."""

from dataclasses import asdict

from aiohttp import web

from service.http.identity import public
from service.http.problems import KINDS, Problem
from service.http.replies import reply_json

routes = web.RouteTableDef()


@routes.get("/problems/{code}", name="problem")
@public
async def explain_problem(request: web.Request) -> web.Response:
    """Answer with what a problem means and what to do about it; the `type` of a problem leads here."""
    kind = KINDS.get(request.match_info["code"])
    if kind is None:
        raise Problem("not_found")
    return reply_json({"type": kind.type, **asdict(kind)}, headers={"Cache-Control": "max-age=3600"})
