"""Registering, logging in, and the account itself."""

from aiohttp import web

from service.accounts.emails import canonical_email
from service.accounts.passwords import PASSWORDS
from service.accounts.schemas import AccessToken, Login, Registration, User
from service.accounts.tokens import TOKENS
from service.database.queries import queries
from service.http.bodies import read_body
from service.http.identity import caller, public
from service.http.keys import DATABASE
from service.http.operations import Answer, operation
from service.http.problems import Problem
from service.http.replies import reply

routes = web.RouteTableDef()

_registration = Registration()
_login = Login()
_user = User()
_access_token = AccessToken()
_NOT_STORED = {"Cache-Control": "no-store"}  # RFC 6749, section 5.1


@routes.post("/api/auth/register", name="register")
@public
@operation(Answer(201, _user, headers=("Location",)), body=_registration, refusals=("email_taken",))
async def register(request: web.Request) -> web.Response:
    """Register a person: 201 with the user. A taken address takes as long as a free one."""
    person = await read_body(request, _registration)
    password_hash = await request.app[PASSWORDS].hash(person["password"])
    user = await queries.create_user(request.app[DATABASE], email=person["email"], password_hash=password_hash)
    return reply(_user, user, status=201, headers={"Location": "/api/users/me"})


@routes.post("/api/auth/login", name="login")
@public
@operation(Answer(200, _access_token, headers=("Cache-Control",)), body=_login, refusals=("invalid_credentials",))
async def log_in(request: web.Request) -> web.Response:
    """Log a person in: 200 with an access token. An unknown email and a wrong password are told apart by nothing."""
    given = await read_body(request, _login)
    try:
        email = canonical_email(given["email"])
    except ValueError:
        email = ""  # nobody's, and still worth the time of a hash
    credentials = await queries.get_user_credentials(request.app[DATABASE], email=email)
    password_hash = credentials["password_hash"] if credentials else None
    if not await request.app[PASSWORDS].is_right(given["password"], password_hash):
        raise Problem("invalid_credentials")
    tokens = request.app[TOKENS]
    answer = {"access_token": tokens.issue(credentials["id"]), "token_type": "Bearer", "expires_in": tokens.ttl}
    return reply(_access_token, answer, headers=_NOT_STORED)


@routes.get("/api/users/me", name="me")
@operation(Answer(200, _user))
async def get_me(request: web.Request) -> web.Response:
    """Answer with the caller's own account."""
    user = await queries.get_user(request.app[DATABASE], id=caller(request))
    if user is None:
        raise Problem("invalid_token", "The account that the token was issued to is gone.")
    return reply(_user, user)
