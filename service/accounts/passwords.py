"""Passwords: bcrypt over base64(HMAC-SHA-384(pepper, password)), never on the event loop.

bcrypt reads 72 bytes and no more, so it is given the 64 characters of a MAC: a password of any length counts whole, and
a stolen table is worth nothing without the pepper.
"""

import asyncio
import base64
import hmac
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import bcrypt
import structlog
from aiohttp import web

from service.database.errors import Overloaded

log = structlog.get_logger()

_T = TypeVar("_T")

_COMMON = frozenset(
    (Path(__file__).parent / "common_passwords" / "common-passwords.txt").read_text(encoding="utf-8").splitlines()
)

# bcrypt releases the GIL, so a thread for each core keeps all of them busy. Only so many passwords may wait that the
# last is still answered within a few seconds.
_THREADS = os.cpu_count() or 1
_MAX_WAITING = 8 * _THREADS
_NICENESS = 10


class Passwords:
    """A bounded executor that hashes and checks passwords.

    Args:
        pepper: the secret key of the MAC.
        cost: bcrypt's work factor, the base-2 logarithm of its rounds.
    """

    def __init__(self, pepper: str, cost: int) -> None:
        self._pepper = pepper.encode()
        self._cost = cost
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="bcrypt", initializer=_yield_to_others)
        self._pending = 0
        # Checked against where nobody has the email address, so that this takes as long as a wrong password.
        self._nobody = bcrypt.hashpw(self._mac(""), bcrypt.gensalt(cost)).decode()

    async def hash(self, password: str) -> str:
        """Return the hash to be stored.

        Raises:
            Overloaded: too many passwords are waiting already.
        """
        return await self._run(self._hash, password)

    async def is_right(self, password: str, password_hash: str | None) -> bool:
        """Tell whether a password belongs to a stored hash; with None it does not, and that takes as long.

        A hash that cannot be read belongs to no password, in the same time; it is logged.

        Raises:
            Overloaded: too many passwords are waiting already.
        """
        matches = await self._run(self._matches, password, self._nobody if password_hash is None else password_hash)
        return matches and password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Tell whether a stored hash, which a password was found to belong to, costs less than one that is made now."""
        return _cost(password_hash) < self._cost

    def close(self) -> None:
        """Let the threads end."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[..., _T], *args: str) -> _T:
        if self._pending >= _THREADS + _MAX_WAITING:
            raise Overloaded
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work, *args)
        finally:
            self._pending -= 1

    def _hash(self, password: str) -> str:
        return bcrypt.hashpw(self._mac(password), bcrypt.gensalt(self._cost)).decode()

    def _matches(self, password: str, password_hash: str) -> bool:
        mac = self._mac(password)
        try:
            if bcrypt.checkpw(mac, password_hash.encode()):
                return True
            cost = _cost(password_hash)
        except ValueError:
            log.error("a stored password hash cannot be read")  # noqa: TRY400 -- the traceback would hold nothing else
            bcrypt.checkpw(mac, self._nobody.encode())
            return False
        # So that a hash of a lower cost c is not known by its time: 2^c + 2^c + 2^(c+1) + ... + 2^(n-1) = 2^n rounds.
        for missing in range(cost, self._cost):
            bcrypt.hashpw(mac, bcrypt.gensalt(missing))
        return False

    def _mac(self, password: str) -> bytes:
        return base64.b64encode(hmac.digest(self._pepper, password.encode(), "sha384"))


PASSWORDS = web.AppKey("passwords", Passwords)


def is_common(password: str) -> bool:
    """Tell whether a password in NFKC is, but for case and outer white space, one of the common ones."""
    return password.strip().casefold() in _COMMON


def _cost(password_hash: str) -> int:
    return int(password_hash.split("$")[2])


def _yield_to_others() -> None:
    """Lower the thread's priority, so that the event loop gets a core at once and log-ins slow down only each other."""
    if sys.platform == "linux":  # where it is the thread's own, and not the process's
        with suppress(OSError):  # a hardened system may refuse that, as systemd does without @resources
            os.nice(_NICENESS)
