"""The address that a request comes from, with proxies in front of the service or without."""

from ipaddress import IPv4Address, IPv6Address, ip_address

from aiohttp import hdrs, web

from service.http.app_keys import TRUSTED_PROXIES


def client_address(request: web.Request) -> str:
    """Return the address of the client: the peer's or, where the peer is a trusted proxy, the one that it names.

    Each proxy adds whom it heard from at the right end of X-Forwarded-For. Read from there, the first address that is
    no trusted proxy's is the client's; what is to the left of it anybody can have written. What is no address ends the
    walk at the proxy that passed it on.
    """
    # The peer of a connection that broke at once is not known; all of these count as one.
    address = _parse(request.remote or "::")
    path = ",".join(request.headers.getall(hdrs.X_FORWARDED_FOR, ())).split(",")
    while path and any(address in network for network in request.app[TRUSTED_PROXIES]):
        try:
            address = _parse(path.pop().strip())
        except ValueError:
            break
    return str(address)


def _parse(text: str) -> IPv4Address | IPv6Address:
    """Read an address; one of IPv4 is the same when it is written in IPv6 (RFC 4291, section 2.5.5.2)."""
    address = ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address
