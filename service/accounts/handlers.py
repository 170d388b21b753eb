"""Registering, logging in and out, and the account itself."""

from contextlib import suppress

from aiohttp import web

from service.accounts.emails import canonical_email
from service.accounts.passwords import PASSWORDS
from service.accounts.revocations import REVOCATIONS
from service.accounts.schemas import Login, PasswordChange, RefreshTokenHolder, Registration, TokenPair, User
from service.accounts.sessions import SESSIONS, InvalidRefreshToken
from service.accounts.throttle import THROTTLE, Attempt
from service.database.errors import Overloaded
from service.database.queries import queries
from service.http.app_keys import DATABASE
from service.http.bodies import read_body
from service.http.identity import CALLER, account_gone, caller, public
from service.http.operations import Answer, operation
from service.http.problems import Problem, invalid
from service.http.replies import Record, reply

routes = web.RouteTableDef()

_registration = Registration()
_login = Login()
_holder = RefreshTokenHolder()
_password_change = PasswordChange()
_user = User()
_token_pair = TokenPair()
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
@operation(
    Answer(200, _token_pair, headers=("Cache-Control",)),
    body=_login,
    refusals=("invalid_credentials", "too_many_requests"),
)
async def log_in(request: web.Request) -> web.Response:
    """Log a person in: 200 with the tokens of a new session.

    An unknown email and a wrong password are told apart by nothing.
    """
    given = await read_body(request, _login)
    try:
        email = canonical_email(given["email"])
    except ValueError:
        email = ""  # nobody's, and still worth the time of a hash
    attempt = request.app[THROTTLE].attempt(request, email or given["email"])
    await request.app[THROTTLE].admit(request.app[DATABASE], attempt)
    pair = None
    while pair is None:
        user = await queries.get_user_credentials(request.app[DATABASE], email=email)
        if not await _is_password(request, attempt, user, given["password"]) or user is None:
            raise Problem("invalid_credentials")
        # None when the password was changed, or its hash renewed, since it was read.
        pair = await request.app[SESSIONS].begin(request.app[DATABASE], user["id"], user["password_hash"])
    await _renew_hash(request, user, given["password"])
    return reply(_token_pair, pair, headers=_NOT_STORED)


@routes.post("/api/auth/refresh", name="refresh")
@public
@operation(Answer(200, _token_pair, headers=("Cache-Control",)), body=_holder, refusals=("invalid_refresh_token",))
async def refresh(request: web.Request) -> web.Response:
    """Prolong a session: 200 with new tokens, and the refresh token that was sent is spent.

    One that was spent is answered once more for ten seconds, with the same successor; later it ends the session.
    """
    given = await read_body(request, _holder)
    try:
        pair = await request.app[SESSIONS].prolong(request.app[DATABASE], given["refresh_token"])
    except InvalidRefreshToken:
        raise Problem("invalid_refresh_token") from None
    return reply(_token_pair, pair, headers=_NOT_STORED)


@routes.post("/api/auth/logout", name="logout")
@public
@operation(Answer(204, meaning="The session has ended, if there was one."), body=_holder)
async def log_out(request: web.Request) -> web.Response:
    """End the session of a refresh token, and with it its access tokens: 204, whatever the token was."""
    given = await read_body(request, _holder)
    await request.app[SESSIONS].end(request.app[DATABASE], given["refresh_token"])
    return web.Response(status=204)


@routes.get("/api/users/me", name="me")
@operation(Answer(200, _user))
async def get_me(request: web.Request) -> web.Response:
    """Answer with the caller's own account."""
    user = await queries.get_user(request.app[DATABASE], id=caller(request))
    if user is None:
        raise account_gone()
    return reply(_user, user)


@routes.delete("/api/users/me")
@operation(Answer(204, meaning="It is gone, and its tasks with it."))
async def delete_me(request: web.Request) -> web.Response:
    """Remove the caller's account and everything that is the caller's: 204. Its tokens stop working at once."""
    async with request.app[DATABASE].transaction() as connection:
        await queries.lock_user(connection, id=caller(request))
        ended = await queries.delete_sessions(connection, user_id=caller(request), spared_id=None)
        if await queries.delete_user(connection, id=caller(request)) is None:
            raise account_gone()
    request.app[REVOCATIONS].add(ended)
    return web.Response(status=204)


@routes.post("/api/users/me/password", name="password")
@operation(Answer(204, meaning="It is changed."), body=_password_change, refusals=("too_many_requests",))
async def change_password(request: web.Request) -> web.Response:
    """Change the caller's password: 204, and every other session of the caller ends at once."""
    given = await read_body(request, _password_change)
    ended = None
    while ended is None:
        user = await queries.get_user_credentials_by_id(request.app[DATABASE], id=caller(request))
        if user is None:
            raise account_gone()
        attempt = request.app[THROTTLE].attempt(request, user["email"])
        await request.app[THROTTLE].admit(request.app[DATABASE], attempt)
        if not await _is_password(request, attempt, user, given["current_password"]):
            raise invalid("/current_password", "Is not the current password.", "wrong")
        ended = await _replace_password(request, user, given["new_password"])
    request.app[REVOCATIONS].add(ended)
    return web.Response(status=204)


async def _is_password(request: web.Request, attempt: Attempt, user: Record | None, password: str) -> bool:
    """Tell whether a password is the user's, and count a failure if not; without a user that takes as long.

    Raises:
        Problem: `too_many_requests`.
    """
    database, throttle = request.app[DATABASE], request.app[THROTTLE]
    if not await request.app[PASSWORDS].is_right(password, user["password_hash"] if user else None):
        await throttle.note_failure(database, attempt)
        return False
    # Once more: what was tried at the same time has been counted by now, so that a burst is worth no more guesses.
    await throttle.admit(database, attempt)
    await throttle.forget(database, attempt)
    return True


async def _renew_hash(request: web.Request, user: Record, password: str) -> None:
    """Hash a password anew, where the cost has been raised since it was hashed."""
    passwords = request.app[PASSWORDS]
    if passwords.is_outdated(user["password_hash"]):
        with suppress(Overloaded):  # the next log-in will do
            await queries.update_user_password(
                request.app[DATABASE],
                id=user["id"],
                password_hash=user["password_hash"],
                new_password_hash=await passwords.hash(password),
            )


async def _replace_password(request: web.Request, user: Record, password: str) -> list[Record] | None:
    """Replace the password that was checked, and end all sessions but the caller's.

    Returns:
        The sessions; None when the password was changed, or its hash renewed, since it was read.
    """
    password_hash = await request.app[PASSWORDS].hash(password)
    async with request.app[DATABASE].transaction() as connection:
        changed = await queries.update_user_password(
            connection, id=user["id"], password_hash=user["password_hash"], new_password_hash=password_hash
        )
        if changed is None:
            return None
        # A statement of its own, since it has to see the sessions that the lock on the user has waited for.
        ended: list[Record] = await queries.delete_sessions(
            connection, user_id=user["id"], spared_id=request[CALLER].session_id
        )
    return ended
