"""Scopes: the routes that a service client may call. A route that is not in the table here is not for clients."""

from typing import Final

from aiohttp import hdrs, web

from service.http.identity import Caller
from service.http.problems import Problem

READ: Final = "tasks:read"
WRITE: Final = "tasks:write"
SCOPES: Final = {
    READ: "Read the tasks of any user.",
    WRITE: "Create, change and delete the tasks of any user.",
}

_TASKS: Final = "/api/{user_id}/tasks"
_TASK: Final = "/api/{user_id}/tasks/{id}"
# The scopes, any one of which will do, by method and path.
_TABLE: Final = {
    ("GET", _TASKS): (READ,),
    ("POST", _TASKS): (WRITE,),
    ("GET", _TASK): (READ,),
    ("PATCH", _TASK): (WRITE,),
    ("DELETE", _TASK): (WRITE,),
    ("GET", "/api/task-statuses"): (READ, WRITE),
}


def scopes_of(method: str, path: str) -> tuple[str, ...]:
    """Return the scopes any one of which lets a client call a route, named by its path with `{…}`; none lets nobody."""
    return _TABLE.get((hdrs.METH_GET if method == hdrs.METH_HEAD else method, path), ())


def check_scope(request: web.Request, client: Caller) -> None:
    """Let a client pass where one of its scopes does.

    Raises:
        Problem: `insufficient_scope`, with the scope that would do where there is one (RFC 6750, section 3.1).
    """
    resource = request.match_info.route.resource
    needed = scopes_of(request.method, resource.canonical if resource else "")
    if client.scopes.isdisjoint(needed):
        challenge = ", ".join(['Bearer error="insufficient_scope"', *(f'scope="{scope}"' for scope in needed[:1])])
        raise Problem("insufficient_scope", headers={hdrs.WWW_AUTHENTICATE: challenge})
