"""Addresses: a client is whom the trusted proxies name, and nobody else is believed."""

from ipaddress import ip_network

import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpClient

from service.http.addresses import client_address
from service.http.app_keys import TRUSTED_PROXIES

_HERE = "127.0.0.1"
_LOCAL = "127.0.0.0/8"


@pytest.mark.parametrize(
    ("proxies", "lines", "client"),
    [
        ((), (), _HERE),
        ((), ("203.0.113.7",), _HERE),
        (("10.0.0.0/8",), ("203.0.113.7",), _HERE),
        ((_LOCAL,), (), _HERE),
        ((_LOCAL,), ("203.0.113.7",), "203.0.113.7"),
        ((_HERE,), ("203.0.113.7",), "203.0.113.7"),
        # What the client wrote itself is to the left of what the proxy added.
        ((_LOCAL,), ("198.51.100.1, 203.0.113.7",), "203.0.113.7"),
        ((_LOCAL,), ("127.0.0.1, 203.0.113.7",), "203.0.113.7"),
        ((_LOCAL,), ("198.51.100.1", "203.0.113.7"), "203.0.113.7"),
        ((_LOCAL, "10.0.0.0/8"), ("198.51.100.1, 203.0.113.7, 10.0.0.2", "10.0.0.3"), "203.0.113.7"),
        # Whoever is on the way and not trusted is the client.
        ((_LOCAL,), ("203.0.113.7, 10.0.0.2",), "10.0.0.2"),
        # Where everybody is a proxy, the first of them is the client.
        ((_LOCAL, "10.0.0.0/8"), ("10.0.0.2, 10.0.0.3",), "10.0.0.2"),
        ((_LOCAL,), ("2001:db8::1",), "2001:db8::1"),
        ((_LOCAL,), ("2001:0DB8:0::0001",), "2001:db8::1"),
        ((_LOCAL, "2001:db8::/32"), ("203.0.113.7, 2001:db8::1",), "203.0.113.7"),
        # IPv4 within IPv6 is IPv4, as a client and as a proxy.
        ((_LOCAL,), ("::ffff:203.0.113.7",), "203.0.113.7"),
        ((_LOCAL, "10.0.0.0/8"), ("203.0.113.7, ::ffff:10.0.0.2",), "203.0.113.7"),
        # What is no address ends the walk at the proxy that passed it on.
        ((_LOCAL,), ("",), _HERE),
        ((_LOCAL,), ("unknown",), _HERE),
        ((_LOCAL,), ("203.0.113.7,",), _HERE),
        ((_LOCAL,), ("203.0.113.7:8080",), _HERE),
        ((_LOCAL,), ("203.0.113.7 198.51.100.1",), _HERE),
        ((_LOCAL,), ("203.0.113.007",), _HERE),
        ((_LOCAL, "10.0.0.0/8"), ("203.0.113.7, evil, 10.0.0.2",), "10.0.0.2"),
        ((_LOCAL,), ("9" * 5000,), _HERE),
    ],
)
async def test_only_a_trusted_proxy_says_who_the_client_is(
    aiohttp_client: AiohttpClient, proxies: tuple[str, ...], lines: tuple[str, ...], client: str
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=client_address(request))

    app = web.Application()
    app[TRUSTED_PROXIES] = tuple(map(ip_network, proxies))
    app.router.add_get("/", answer)
    caller = await aiohttp_client(app)
    said = await caller.get("/", headers=[("X-Forwarded-For", line) for line in lines])
    assert await said.text() == client
