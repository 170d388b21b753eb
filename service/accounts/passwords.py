"""Passwords: bcrypt over base64(HMAC-SHA-384(pepper, password)), never on the event loop.

bcrypt reads 72 bytes and no more, so it is given the 64 characters of a MAC: a password of any length counts whole, and
a stolen table is worth nothing without the pepper.
"""

import asyncio
import base64
import hmac
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import bcrypt
from aiohttp import web

from service.database.errors import Overloaded

_T = TypeVar("_T")

# bcrypt releases the GIL, so that a thread a core keeps every core busy; of waiting ones there are only so many that
# the last is still answered within a few seconds.
_THREADS = os.cpu_count() or 1
_MAX_WAITING = 8 * _THREADS


class Passwords:
    """Hashes and checks passwords in a bounded executor.

    Args:
        pepper: the secret key of the MAC.
        cost: bcrypt's work factor, the base-2 logarithm of its rounds.
    """

    def __init__(self, pepper: str, cost: int) -> None:
        self._pepper = pepper.encode()
        self._cost = cost
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="bcrypt")
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

        Raises:
            Overloaded: too many passwords are waiting already.
        """
        matches = await self._run(self._matches, password, password_hash or self._nobody)
        return matches and password_hash is not None

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
        return bcrypt.checkpw(self._mac(password), password_hash.encode())

    def _mac(self, password: str) -> bytes:
        return base64.b64encode(hmac.digest(self._pepper, password.encode(), "sha384"))


PASSWORDS = web.AppKey("passwords", Passwords)
