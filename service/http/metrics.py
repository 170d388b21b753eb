"""The metrics of the service: counted by each worker, and told to Prometheus of all.

A request adds to one row of numbers, that of its method, route and status, in memory that all workers share. So each
worker can tell what all of them have counted, and what a worker has counted outlives it. prometheus_client is left to
write the text.
"""

import asyncio
import os
from bisect import bisect_left
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from mmap import mmap
from operator import add
from typing import Self

from aiohttp import web
from prometheus_client import Metric, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from service import __version__
from service.background import in_background
from service.database.pool import Database

# Whatever a client sends, a label has no more values than these and the routes.
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other")
_UNMATCHED = "unmatched"
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LE = (*map(str, _BOUNDS), "+Inf")

# A worker's part of the memory: how it stands, the rows, and a spare row that nobody reads.
_PID, _POOL_MAX, _CHECKED_IN, _CHECKED_OUT, _FIRST_ROW = range(5)
# A row: its labels as a number (0: not in use), the seconds of its requests in all, and how many fell into each bucket.
_LABELS, _SECONDS, _BUCKETS = range(3)
_ROW = _BUCKETS + len(_LE)
_ROWS = 4096  # several times what routes and statuses can make; those that are not in use take no memory
_PART = _FIRST_ROW + (_ROWS + 1) * _ROW
_FLOAT_BYTES = 8
_STATUSES = 1000

_NOTE_SECONDS = 1.0

_Labels = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class SharedCounts:
    """The memory that workers count in: each writes to its own part, and any reads all.

    Attributes:
        parts: the part of each worker.
        worker: the number of the worker whose this is, from 0.
    """

    parts: "tuple[memoryview[float], ...]"
    worker: int

    @classmethod
    def of(cls, workers: int) -> list[Self]:
        """Make the memory, in the process that will fork the workers, and return it once for each of them."""
        cells = memoryview(mmap(-1, workers * _PART * _FLOAT_BYTES)).cast("d")
        parts = tuple(cells[index * _PART : (index + 1) * _PART] for index in range(workers))
        return [cls(parts, index) for index in range(workers)]


class Metrics(Collector):
    """The counts of one worker, and the metrics of all.

    Args:
        counts: the memory; a worker that replaces another counts on from what stands in its part.
        router: the routes, whose paths are labels.
        database: the pool of this worker.
        pool_max: the greatest number of connections that the pool may have.
    """

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self, counts: SharedCounts, router: web.UrlDispatcher, database: Database, pool_max: int) -> None:
        self._parts = counts.parts
        self._own = counts.parts[counts.worker]
        self._database = database
        self._routes = (*sorted({resource.canonical for resource in router.resources()}), _UNMATCHED)
        self._rows = dict(self._used_rows(self._own))
        self._processes = [ProcessCollector(pid=partial(_pid, part), registry=None) for part in counts.parts]
        self._own[_POOL_MAX] = pool_max
        self._note_pool()
        self._own[_PID] = os.getpid()

    def count(self, request: web.Request, status: int, seconds: float) -> None:
        """Count a request that was answered, in so many seconds. This is on the hot path."""
        resource = request.match_info.route.resource
        labels = (
            request.method if request.method in _METHODS else _METHODS[-1],
            _UNMATCHED if resource is None else resource.canonical,
            status,
        )
        row, own = self._rows.get(labels) or self._new_row(labels), self._own
        own[row + _SECONDS] += seconds
        own[row + _BUCKETS + bisect_left(_BOUNDS, seconds)] += 1

    def text(self) -> bytes:
        """Return the metrics of all workers, in Prometheus' text format."""
        self._note_pool()
        return generate_latest(self)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics: requests of all workers together, pools and processes with the worker as a label."""
        yield InfoMetricFamily("service", "The release that answers.", {"version": __version__})
        yield from self._requests()
        yield from self._pools()
        yield from self._all_processes()

    @asynccontextmanager
    async def noting(self) -> AsyncIterator[None]:
        """Note the state of this worker's pool every second, while the block runs, for other workers to tell of."""
        async with in_background(self._note_pool_again_and_again()):
            yield

    async def _note_pool_again_and_again(self) -> None:
        while True:
            self._note_pool()
            await asyncio.sleep(_NOTE_SECONDS)

    def _note_pool(self) -> None:
        pool = self._database.status()
        self._own[_CHECKED_IN], self._own[_CHECKED_OUT] = pool.checked_in, pool.checked_out

    def _new_row(self, labels: _Labels) -> int:
        """Take the next row for these labels; beyond the last one, requests are no longer counted."""
        row = _FIRST_ROW + min(len(self._rows), _ROWS) * _ROW
        method, route, status = labels
        number = self._routes.index(route) * len(_METHODS) + _METHODS.index(method)
        self._own[row + _LABELS] = number * _STATUSES + status
        self._rows[labels] = row
        return row

    def _used_rows(self, part: "memoryview[float]") -> Iterator[tuple[_Labels, int]]:
        for row in range(_FIRST_ROW, _FIRST_ROW + _ROWS * _ROW, _ROW):
            if not (number := int(part[row + _LABELS])):
                return
            rest, status = divmod(number, _STATUSES)
            route, method = divmod(rest, len(_METHODS))
            yield (_METHODS[method], self._routes[route], status), row

    def _requests(self) -> Iterator[Metric]:
        answered: dict[_Labels, float] = defaultdict(float)
        took: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0] * _ROW)
        for part in self._parts:
            for (method, route, status), row in self._used_rows(part):
                values = list(part[row : row + _ROW])
                answered[method, route, status] += sum(values[_BUCKETS:])
                took[method, route] = list(map(add, took[method, route], values))
        requests = CounterMetricFamily(
            "http_requests", "Requests that were answered.", labels=("method", "route", "status")
        )
        for (method, route, status), count in answered.items():
            requests.add_metric((method, route, str(status)), count)
        yield requests
        durations = HistogramMetricFamily(
            "http_request_duration_seconds",
            "From a request's head to its answer, which is then sent.",
            labels=("method", "route"),
        )
        for labels, values in took.items():
            buckets = list(zip(_LE, accumulate(values[_BUCKETS:]), strict=True))
            durations.add_metric(labels, buckets, values[_SECONDS])
        yield durations

    def _pools(self) -> Iterator[Metric]:
        maxima = GaugeMetricFamily(
            "db_pool_connections_max", "How many connections a worker's pool may have.", labels=("worker",)
        )
        connections = GaugeMetricFamily(
            "db_pool_connections", "Connections of a worker's pool.", labels=("worker", "state")
        )
        for worker, part, _ in self._workers():
            maxima.add_metric((worker,), part[_POOL_MAX])
            connections.add_metric((worker, "checked_in"), part[_CHECKED_IN])
            connections.add_metric((worker, "checked_out"), part[_CHECKED_OUT])
        yield from (maxima, connections)

    def _all_processes(self) -> Iterator[Metric]:
        """Yield what prometheus_client knows of a process, for the process of each worker."""
        families: dict[str, Metric] = {}
        for worker, _, process in self._workers():
            for family in process.collect():
                known = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                known.samples += [sample._replace(labels={"worker": worker}) for sample in family.samples]
        yield from families.values()

    def _workers(self) -> "Iterator[tuple[str, memoryview[float], ProcessCollector]]":
        """Yield each worker that has started, by the name that it has as a label."""
        for number, (part, process) in enumerate(zip(self._parts, self._processes, strict=True), 1):
            if part[_PID]:
                yield str(number), part, process


METRICS = web.AppKey("metrics", Metrics)


def _pid(part: "memoryview[float]") -> int:
    return int(part[_PID])
