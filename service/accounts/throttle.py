"""Failed log-ins, counted for each account and each address, so that guessing a password takes too long.

The counts are in the database and timed by its clock, so that every instance goes by the same ones. Nothing here asks
whether the account exists.
"""

import hmac
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address

from aiohttp import web

from service.accounts.unicode import nfkc
from service.database.queries import Executor, queries
from service.http.addresses import client_address
from service.http.problems import Problem

_IPV6_HOST_BITS = 64  # Whoever has one address of IPv6 has the rest of its /64.


@dataclass(frozen=True, slots=True)
class Attempt:
    """A log-in, as the throttle knows it: MACs of the account that was named and of where it came from."""

    account: bytes
    address: bytes


class Throttle:
    """A throttle: it refuses log-ins for an account, or from an address, of which too many have failed.

    A window of 15 minutes begins with the first failure. A log-in is admitted before its password is checked; then it
    is noted when the password was wrong, and admitted once more when it was right. So of however many guesses at once,
    no more than the limit are told to be wrong, and nothing is told of the rest.

    Args:
        key: of the MACs. People type passwords where the address goes, and of such a one a digest without a key would
            be guessed as soon as the table is stolen.
        failures_per_account, failures_per_address: how many may fail in a window.
    """

    def __init__(self, key: str, failures_per_account: int, failures_per_address: int) -> None:
        self._key = key.encode()
        self._failures_per_account = failures_per_account
        self._failures_per_address = failures_per_address

    def attempt(self, request: web.Request, email: str) -> Attempt:
        """Return a log-in as it is counted.

        Args:
            request: the log-in.
            email: in its canonical form; where it has none, as it was typed, so that it counts by itself.
        """
        account, address = nfkc(email).casefold(), _network(client_address(request))
        return Attempt(self._mac("account", account), self._mac("address", address))

    async def admit(self, executor: Executor, attempt: Attempt) -> None:
        """Let a log-in pass, or refuse it.

        Raises:
            Problem: `too_many_requests`, with the seconds until the end of the window.
        """
        seconds = await queries.count_login_wait(
            executor,
            account=attempt.account,
            address=attempt.address,
            account_limit=self._failures_per_account,
            address_limit=self._failures_per_address,
        )
        if seconds is not None:
            raise Problem("too_many_requests", headers={"Retry-After": str(seconds)})

    async def note_failure(self, executor: Executor, attempt: Attempt) -> None:
        """Count a failure.

        Raises:
            Problem: `too_many_requests`, when others failed meanwhile and this is one too many: what would be told of
                the password must not be told.
        """
        limits = {attempt.account: self._failures_per_account, attempt.address: self._failures_per_address}
        counts = await queries.create_login_failures(executor, account=attempt.account, address=attempt.address)
        if any(count["failures"] > limits[count["subject"]] for count in counts):
            await self.admit(executor, attempt)

    async def forget(self, executor: Executor, attempt: Attempt) -> None:
        """Forget the failures of an account whose owner has logged in. Those of the address stay."""
        await queries.delete_login_failures(executor, account=attempt.account)

    def _mac(self, kind: str, subject: str) -> bytes:
        return hmac.digest(self._key, f"{kind}:{subject}".encode(), "sha256")


THROTTLE = web.AppKey("throttle", Throttle)


def _network(address: str) -> str:
    """Return the network that counts as one address: an address of IPv4, or a /64 of IPv6."""
    found = ip_address(address)
    return address if isinstance(found, IPv4Address) else str(int(found) >> _IPV6_HOST_BITS)
