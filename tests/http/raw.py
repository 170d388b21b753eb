"""HTTP as bytes, for what no HTTP library would send."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from typing import Any, Self
from urllib.parse import urlsplit

from multidict import CIMultiDict, CIMultiDictProxy

from tests.conftest import Answer, Api, Service

_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Wire:
    """A connection to the service."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> Self:
        """Send bytes."""
        self.writer.write(data)
        await self.writer.drain()
        return self

    async def answer(self, *, with_body: bool = True) -> Answer:
        """Read one response, to the end of the body that its head announces; a HEAD's has none."""
        async with asyncio.timeout(_SECONDS):
            head = await self.reader.readuntil(b"\r\n\r\n")
            line, _, fields = head.partition(b"\r\n")
            headers = CIMultiDictProxy(CIMultiDict(BytesHeaderParser().parsebytes(fields).items()))
            size = int(headers.get("Content-Length", "0")) if with_body else 0
            text = (await self.reader.readexactly(size)).decode()
        body: Any = json.loads(text) if text else None
        return Answer(int(line.split()[1]), headers, text, body)

    async def rest(self) -> bytes:
        """Read whatever comes until the service closes the connection."""
        async with asyncio.timeout(_SECONDS):
            with suppress(ConnectionError):
                return await self.reader.read()
        return b""


@asynccontextmanager
async def wire(service: Service) -> AsyncIterator[Wire]:
    """Open a connection, and close it."""
    address = urlsplit(service.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def exchange(service: Service, request: bytes) -> Answer:
    """Send a request as it is, and read the answer to it."""
    async with wire(service) as connection:
        return await (await connection.send(request)).answer()


def head(method: str, path: str, api: Api | None = None, /, **fields: str) -> bytes:
    """Write the head of a request; an underscore in a name stands for a hyphen."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    if api and api.token:
        lines.append(f"Authorization: Bearer {api.token}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
