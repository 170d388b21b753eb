"""The token endpoint of OAuth 2.0 (RFC 6749): a service client exchanges its secret for an access token."""

import base64
from typing import Final
from urllib.parse import unquote_plus
from uuid import UUID

from aiohttp import hdrs, web

from service.accounts.clients import hash_secret
from service.accounts.schemas import ClientToken, OAuthError, TokenRequest
from service.accounts.tokens import TOKENS
from service.database.queries import queries
from service.http.app_keys import DATABASE
from service.http.bodies import FORM, read_form
from service.http.identity import public
from service.http.operations import Answer, operation
from service.http.problems import Problem
from service.http.replies import Record, reply

routes = web.RouteTableDef()

_request = TokenRequest()
_token = ClientToken()
_error = OAuthError()
_NOT_STORED: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}  # RFC 6749, section 5.1
# Both of the schemes that are in use here: each 401 names Bearer, and the RFC wants the one that a client has used.
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer, Basic realm="task-service"'}

_Credentials = tuple[str, str]


class _Refused(Exception):  # noqa: N818 -- as a problem is
    """An error of RFC 6749, section 5.2: its code and one sentence."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(code)
        self.code = code
        self.description = description


@routes.post("/api/auth/token", name="token")
@public
@operation(
    Answer(200, _token, headers=tuple(_NOT_STORED)),
    Answer(
        400,
        _error,
        meaning="The request is malformed, or asks for what this client may not have (RFC 6749, section 5.2).",
    ),
    Answer(
        401,
        _error,
        headers=(*_NOT_STORED, *_CHALLENGE),
        meaning="There is no such client, or the secret is not the client's.",
    ),
    body=_request,
    media_types=FORM,
)
async def issue_token(request: web.Request) -> web.Response:
    """Give a service client an access token: 200, by the client credentials grant (RFC 6749, section 4.4).

    The client sends its id and its secret by HTTP Basic or in the form. There is no refresh token; it asks again.
    """
    try:
        client, scopes = await _grant(request)
    except _Refused as refused:
        is_unknown = refused.code == "invalid_client"
        body = {"error": refused.code, "error_description": refused.description}
        headers = _NOT_STORED | _CHALLENGE if is_unknown else _NOT_STORED
        return reply(_error, body, status=401 if is_unknown else 400, headers=headers)
    tokens = request.app[TOKENS]
    answer = {
        "access_token": tokens.issue_to_client(client["id"], frozenset(scopes)),
        "token_type": "Bearer",
        "expires_in": tokens.ttl,
        "scope": " ".join(scopes),
    }
    return reply(_token, answer, headers=_NOT_STORED)


async def _grant(request: web.Request) -> tuple[Record, list[str]]:
    """Decide what a request is to be given: the client, and the scopes of its token."""
    try:
        form = await read_form(request, _request)
    except Problem as problem:
        if problem.faults is None:
            raise
        faults = [f"{fault['parameter']}: {fault['detail']}" for fault in problem.faults]
        raise _Refused("invalid_request", " ".join(faults)) from None
    if form["grant_type"] != "client_credentials":
        raise _Refused("unsupported_grant_type", "Only client_credentials is supported.")
    client_id, secret = _credentials(request, form)
    client = await _find_client(request, client_id, secret)
    asked = form.get("scope", " ".join(client["scopes"])).split(" ")
    if not set(asked) <= set(client["scopes"]):
        raise _Refused("invalid_scope", f"The client may ask for: {' '.join(client['scopes'])}.")
    return client, sorted(set(asked))


async def _find_client(request: web.Request, client_id: str, secret: str) -> Record:
    try:
        id_ = UUID(client_id)
    except ValueError:
        raise _unknown_client() from None
    client: Record | None = await queries.get_client_of_secret(
        request.app[DATABASE], id=id_, secret_hash=hash_secret(secret)
    )
    if client is None:
        raise _unknown_client()
    return client


def _credentials(request: web.Request, form: dict[str, str]) -> _Credentials:
    """Return the id and the secret that a client sent, by one way of the two (RFC 6749, section 2.3.1)."""
    # A header of another scheme is no way for a client to authenticate, and does not count here.
    lines = [line for line in request.headers.getall(hdrs.AUTHORIZATION, ()) if line[:6].lower() == "basic "]
    if not lines:
        if "client_id" not in form or "client_secret" not in form:
            raise _unknown_client()
        return form["client_id"], form["client_secret"]
    if len(lines) > 1 or "client_secret" in form:
        raise _Refused("invalid_request", "Authenticate once: by HTTP Basic or in the form.")
    client_id, secret = _basic(lines[0])
    if form.get("client_id", client_id) != client_id:
        raise _Refused("invalid_request", "The client_id is another than that of HTTP Basic.")
    return client_id, secret


def _basic(line: str) -> _Credentials:
    """Read an Authorization header of the scheme Basic, whose two parts are encoded as in a form."""
    encoded = line.partition(" ")[2].strip()
    try:
        client_id, secret = base64.b64decode(encoded, validate=True).decode().split(":", 1)
        return unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except ValueError:
        raise _unknown_client() from None


def _unknown_client() -> _Refused:
    return _Refused("invalid_client", "Send the id and a valid secret of a client, by HTTP Basic or in the form.")
