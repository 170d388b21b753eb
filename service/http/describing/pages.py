"""Pages about the service itself: the contract, a page to try it from, and what each problem means."""

from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Final

from aiohttp import web
from marshmallow.fields import Integer, List

from service.http.app_keys import CATALOGUE, OPENAPI
from service.http.identity import public
from service.http.operations import Answer, operation
from service.http.problems import KINDS, Problem
from service.http.replies import reply_json
from service.schemas.fields import Representation, Text, about

routes = web.RouteTableDef()

_DOCS: Final = Path(__file__).with_name("docs")
_FILES: Final = {
    "page.css": (_DOCS / "page.css", "text/css"),
    "start.js": (_DOCS / "start.js", "text/javascript"),
    "swagger-ui-bundle.js": (_DOCS / "swagger-ui" / "swagger-ui-bundle.js", "text/javascript"),
    "swagger-ui.css": (_DOCS / "swagger-ui" / "swagger-ui.css", "text/css"),
}
_KEPT: Final = {"Cache-Control": "max-age=3600"}
# The page loads nothing from elsewhere and talks to nobody else. Swagger UI draws its icons from data.
_POLICY: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

# The page itself says what else it may load: its own style and script, by their hashes.
_CATALOGUE_POLICY: Final = {
    "Content-Security-Policy": (
        "connect-src 'none'; font-src 'none'; frame-src 'none'; img-src 'none'; object-src 'none'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}


class ProblemKind(Representation):
    """A kind of problem: what it means, and what to do about it."""

    type = Text(metadata=about("The URI of the problem's type.", "/problems/overloaded"))
    code = Text(metadata=about("The code, for programs.", "overloaded"))
    status = Integer(metadata=about("The status code that it comes with.", 503))
    title = Text(metadata=about("The title.", "Overloaded"))
    meaning = Text(metadata=about("What it means.", KINDS["overloaded"].meaning))
    remedy = Text(metadata=about("What to do about it.", KINDS["overloaded"].remedy))
    headers = List(Text(), metadata=about("The header fields that say more.", ["Retry-After"]))


_kind = ProblemKind()


@routes.get("/", name="home")
@public
@operation(Answer(307, headers=("Location",), meaning="The documentation is at `/docs`."), asks_database=False)
async def go_to_docs(_request: web.Request) -> web.Response:
    """Lead to the documentation."""
    return web.Response(status=307, headers={"Location": "/docs"})


@routes.get("/docs", name="docs")
@public
@operation(Answer(200, media_type="text/html"), asks_database=False)
async def get_docs(_request: web.Request) -> web.Response:
    """Show the contract, with a form for each request."""
    return web.Response(body=_read(_DOCS / "index.html"), content_type="text/html", charset="utf-8", headers=_POLICY)


@routes.get("/docs/{file}")
@public
@operation(Answer(200, headers=("Cache-Control",), media_type="text/*"), asks_database=False)
async def get_docs_file(request: web.Request) -> web.Response:
    """Answer with a part of the page."""
    found = _FILES.get(request.match_info["file"])
    if found is None:
        raise Problem("not_found")
    path, content_type = found
    return web.Response(body=_read(path), content_type=content_type, charset="utf-8", headers=_KEPT)


@routes.get("/openapi.json", name="openapi")
@public
@operation(Answer(200, media_type="application/json"), asks_database=False)
async def get_openapi(request: web.Request) -> web.Response:
    """Answer with the contract, in OpenAPI 3.1."""
    return web.Response(body=request.app[OPENAPI], content_type="application/json")


@routes.get("/sql", name="sql")
@public
@operation(Answer(200, media_type="text/html"), refusals=("not_found",), asks_database=False)
async def get_catalogue(request: web.Request) -> web.Response:
    """Show every query and every table; in development alone, and from a checkout."""
    path = request.app[CATALOGUE]
    if path is None or not path.is_file():
        raise Problem("not_found")
    # Read anew each time, since it may be made anew while the service runs.
    return web.Response(body=path.read_bytes(), content_type="text/html", charset="utf-8", headers=_CATALOGUE_POLICY)


@routes.get("/problems/{code}", name="problem")
@public
@operation(Answer(200, _kind, headers=("Cache-Control",)), asks_database=False)
async def get_problem(request: web.Request) -> web.Response:
    """Answer with what a problem means and what to do about it; the type of a problem leads here."""
    kind = KINDS.get(request.match_info["code"])
    if kind is None:
        raise Problem("not_found")
    return reply_json({"type": kind.type, **asdict(kind)}, headers=_KEPT)


@cache
def _read(path: Path) -> bytes:
    return path.read_bytes()
