"""People who use the service while it is upgraded, through a load balancer, and know what they were told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random
from time import monotonic
from typing import Any, NamedTuple, Self

import aiohttp

from tests.conftest import Answer, Api

_LOOK_SECONDS = 0.05
_PATIENCE_SECONDS = 10.0
_PAUSE_SECONDS = (0.04, 0.16)


class Sample(NamedTuple):
    """A request that was answered: in which phase of the upgrade, by whom, with what, and how long it took."""

    phase: str
    method: str
    url: str
    status: int
    seconds: float


@dataclass(slots=True)
class Instance:
    """A process that serves, as the load balancer knows it."""

    url: str
    is_ready: bool = False
    is_leaving: bool = False
    checks: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Balancer:
    """A load balancer: it sends each request to an instance that says that it is ready, to one after another."""

    session: aiohttp.ClientSession
    phase: str = "quiet"
    instances: list[Instance] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    refused: int = 0
    _turns: "count[int]" = field(default_factory=count)

    @asynccontextmanager
    async def watching(self, *urls: str) -> AsyncIterator[Self]:
        """Look again and again who is ready, while the block runs."""
        self.instances = [Instance(url) for url in urls]
        looks = [asyncio.create_task(self._watch(instance)) for instance in self.instances]
        try:
            yield self
        finally:
            for look in looks:
                look.cancel()
            await asyncio.gather(*looks, return_exceptions=True)

    async def send(self, api: Api, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send one request; a caller waits as long as nobody is ready."""
        began = monotonic()
        while True:
            instance = await self._next()
            try:
                answer = await replace(api, url=instance.url).send(method, path, body, headers=headers)
            except aiohttp.ClientConnectorError:
                # Nothing has been sent, so another one can be asked.
                assert instance.is_leaving, f"{instance.url} was ready, and cannot be reached"
                instance.is_ready = False
                self.refused += 1
                continue
            self.samples.append(Sample(self.phase, method, instance.url, answer.status, monotonic() - began))
            return answer

    async def _next(self) -> Instance:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                if ready := [instance for instance in self.instances if instance.is_ready]:
                    return ready[next(self._turns) % len(ready)]
                await asyncio.sleep(0.005)

    async def _watch(self, instance: Instance) -> None:
        while True:
            try:
                async with self.session.get(f"{instance.url}/health/ready") as answer:
                    instance.is_ready = answer.status == 200
                    instance.checks = (await answer.json())["checks"]
            except aiohttp.ClientError:
                instance.is_ready = False
            await asyncio.sleep(_LOOK_SECONDS)


@dataclass(slots=True)
class Known:
    """The state of a task, as its user was told it."""

    description: str | None
    version: int

    @property
    def etag(self) -> str:
        """The ETag, for If-Match."""
        return f'"{self.version}"'


@dataclass(slots=True)
class User:
    """Somebody who changes tasks that nobody else changes, so that each answer can be held against the last."""

    api: Api
    balancer: Balancer
    random: Random
    tasks: dict[str, Known]
    _numbers: "count[int]" = field(default_factory=lambda: count(1_000_000))

    async def work(self, stop: asyncio.Event) -> None:
        """Do one thing after another."""
        deeds: dict[Callable[[], Awaitable[None]], int] = {
            self._create: 4,
            self._create_with_a_key: 1,
            self._read: 5,
            self._list: 3,
            self._search: 2,
            self._describe: 5,
            self._rename: 2,
            self._change_nothing: 1,
            self._delete: 2,
        }
        while not stop.is_set():
            (deed,) = self.random.choices(list(deeds), list(deeds.values()))
            await deed()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self.random.uniform(*_PAUSE_SECONDS))

    async def _create(self, **headers: str) -> None:
        description = self._new_description()
        given = {} if description is None else {"description": description}
        answer = await self._send(201, "POST", "/api/tasks", {"title": "New", **given}, **headers)
        assert answer.body["description"] == description
        self.tasks[answer.body["id"]] = Known(description, 1)

    async def _create_with_a_key(self) -> None:
        await self._create(**{"Idempotency-Key": f"key-{next(self._numbers)}"})

    async def _read(self) -> None:
        id_, known = self._any()
        self._compare(known, await self._send(200, "GET", f"/api/tasks/{id_}"))

    async def _list(self) -> None:
        answer = await self._send(200, "GET", f"/api/tasks?limit={self.random.choice([5, 50])}")
        for task in answer.body["items"]:
            known = self.tasks[task["id"]]
            assert (task["description"], task["version"]) == (known.description, known.version)

    async def _search(self) -> None:
        id_, known = self._any()
        if known.description:
            number = known.description.split()[1]
            answer = await self._send(200, "GET", f"/api/tasks?q={number}")
            assert [task["id"] for task in answer.body["items"]] == [id_]

    async def _describe(self) -> None:
        id_, known = self._any()
        description = self._new_description()
        await self._patch(id_, {"description": description}, changes=description != known.description)

    async def _rename(self) -> None:
        await self._patch(self._any()[0], {"title": f"Renamed {next(self._numbers)}"}, changes=True)

    async def _change_nothing(self) -> None:
        id_, known = self._any()
        await self._patch(id_, {"description": known.description}, changes=False)

    async def _patch(self, id_: str, body: dict[str, str | None], *, changes: bool) -> None:
        known = self.tasks[id_]
        answer = await self._send(200, "PATCH", f"/api/tasks/{id_}", body, **{"If-Match": known.etag})
        known.description = body.get("description", known.description)
        known.version += changes
        self._compare(known, answer)

    async def _delete(self) -> None:
        id_, known = self._any()
        await self._send(204, "DELETE", f"/api/tasks/{id_}", **{"If-Match": known.etag})
        del self.tasks[id_]

    async def _send(self, status: int, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        answer = await self.balancer.send(self.api, method, path, body, **headers)
        assert answer.status == status, f"{self.balancer.phase}: {method} {path} is {answer.status}: {answer.text}"
        return answer

    def _any(self) -> tuple[str, Known]:
        return self.random.choice(list(self.tasks.items()))

    def _new_description(self) -> str | None:
        """Make one that a search finds alone, or one that is empty, or none."""
        return self.random.choices([f"Errand [{next(self._numbers)}]", "", None], [8, 1, 1])[0]

    def _compare(self, known: Known, answer: Answer) -> None:
        told = answer.body["description"], answer.body["version"], answer.headers["ETag"]
        assert told == (known.description, known.version, known.etag), f"{self.balancer.phase}: {told}"
