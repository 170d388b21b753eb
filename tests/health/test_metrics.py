"""Metrics: every request is counted once, by its route and never its path, whatever a client sends."""

from dataclasses import replace
from time import perf_counter
from uuid import uuid4

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from service import __version__
from service.dsn import Dsn
from service.http.app_keys import DATABASE
from service.http.metrics import SharedCounts
from service.serve import bind, serving
from service.settings import Settings
from tests.conftest import Api, StartService, as_app, started
from tests.http.raw import exchange, head
from tests.sharing import on_one_postgresql

pytestmark = on_one_postgresql

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scrape(api: Api) -> Samples:
    """Read what /metrics says, as Prometheus would."""
    answer = await api.get("/metrics")
    assert answer.status == 200, answer.text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def one(samples: Samples, name: str, **labels: str) -> float:
    """Return one sample's value, 0 where there is none yet."""
    return samples.get((name, frozenset(labels.items())), 0)


async def test_metrics_are_public_prometheus_text_and_have_a_head(anybody: Api) -> None:
    answer = await anybody.get("/metrics")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert f'\nservice_info{{version="{__version__}"}} 1.0\n' in answer.text
    mirrored = await anybody.send("HEAD", "/metrics")
    assert (mirrored.status, mirrored.text) == (200, "")
    assert mirrored.headers["Content-Type"] == answer.headers["Content-Type"]


async def test_each_request_is_counted_once_under_its_route(alice: Api) -> None:
    before = await scrape(alice)
    task = await alice.new_task()
    for path in (f"/api/tasks/{task['id']}", f"/api/tasks/{uuid4()}", f"/api/tasks/{uuid4()}", "/api/tasks/no-uuid"):
        await alice.get(path)
    after = await scrape(alice)
    expected = {("POST", "/api/tasks", "201"): 1, ("GET", "/api/tasks/{id}", "200"): 1}
    expected |= {("GET", "/api/tasks/{id}", "404"): 3, ("GET", "/metrics", "200"): 1}
    for (method, route, status), count in expected.items():
        labels = {"method": method, "route": route, "status": status}
        assert one(after, "http_requests_total", **labels) - one(before, "http_requests_total", **labels) == count
    total = [
        sum(value for (name, _), value in samples.items() if name == "http_requests_total")
        for samples in (before, after)
    ]
    assert total[1] - total[0] == sum(expected.values())


async def test_a_duration_falls_into_every_bucket_that_is_wide_enough(
    settings: Settings, shared_dsn: Dsn, start_service: StartService
) -> None:
    api = await start_service(settings, shared_dsn)
    began = perf_counter()
    for _ in range(20):
        await api.get("/health/ready")
    took = perf_counter() - began
    samples = await scrape(api)
    name, labels = "http_request_duration_seconds", {"method": "GET", "route": "/health/ready"}
    buckets = sorted(
        (float(dict(of)["le"]), value)
        for (sample, of), value in samples.items()
        if sample == f"{name}_bucket" and labels.items() <= dict(of).items()
    )
    bounds, counts = [bound for bound, _ in buckets], [count for _, count in buckets]
    assert (bounds[0], bounds[-2], bounds[-1]) == (0.001, 10.0, float("inf"))
    assert counts == sorted(counts)
    assert counts[-1] == one(samples, f"{name}_count", **labels) == 20
    assert one(samples, "http_requests_total", **labels, status="200") == 20
    seconds = one(samples, f"{name}_sum", **labels)
    assert 0 < seconds < took
    # Each request took at least the bound below its bucket and at most the bound above it.
    inside = [count - below for count, below in zip(counts, [0.0, *counts], strict=False)]
    assert sum(n * low for n, low in zip(inside, [0.0, *bounds], strict=False)) <= seconds
    assert seconds <= sum(n * bound for n, bound in zip(inside, bounds, strict=True) if n)


async def test_no_client_makes_up_labels(settings: Settings, shared_dsn: Dsn) -> None:
    async with started(settings, shared_dsn) as service, aiohttp.ClientSession() as session:
        api = Api(session, service.url)
        sent = 0
        for method in ("BIND", "LOCK", "MKCOL", "PROPFIND", "PURGE", "REPORT", "SEARCH", "TRACE"):
            for path in (
                "/health/live",
                f"/canary/{method}",
                f"/problems/canary-{method}",
                f"/metrics?canary={method}",
            ):
                assert (await exchange(service, head(method, path))).status in {404, 405}
                assert (await exchange(service, head("GET", f"/canary/{method}"))).status == 404
                sent += 2
        answer = await api.get("/metrics")
        samples = await scrape(api)
    assert "canary" not in answer.text.lower()
    counted = {of: value for (name, of), value in samples.items() if name == "http_requests_total"}
    assert sum(counted.values()) == sent + 1
    assert {dict(of)["route"] for of in counted} == {"unmatched", "/metrics"}
    assert {dict(of)["method"] for of in counted} == {"other", "GET"}


async def test_the_pool_is_told_of_and_the_process(settings: Settings, shared_dsn: Dsn) -> None:
    async with started(settings, shared_dsn) as service, aiohttp.ClientSession() as session:
        api = Api(session, service.url)
        async with service.app[DATABASE].connection():
            samples = await scrape(api)
        assert one(samples, "db_pool_connections_max", worker="1") == 4
        assert one(samples, "db_pool_connections", worker="1", state="checked_out") == 1
        assert one(samples, "db_pool_connections", worker="1", state="checked_in") == 1
        for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"):
            assert one(samples, name, worker="1") > 0


async def test_two_services_in_one_process_count_apart(
    settings: Settings, shared_dsn: Dsn, start_service: StartService
) -> None:
    first, second = [await start_service(settings, shared_dsn) for _ in range(2)]
    for _ in range(3):
        await first.get("/health/live")
    labels = {"method": "GET", "route": "/health/live", "status": "200"}
    assert [one(await scrape(api), "http_requests_total", **labels) for api in (first, second)] == [3, 0]


async def test_metrics_answer_without_the_database(settings: Settings, shared_dsn: Dsn) -> None:
    async with started(replace(settings, pool_timeout=5.0), shared_dsn) as service, aiohttp.ClientSession() as session:
        api = Api(session, service.url)
        await service.app[DATABASE].close()
        samples = await scrape(api)
        assert one(samples, "db_pool_connections", worker="1", state="checked_out") == 0


def test_workers_write_to_parts_of_their_own() -> None:
    first, second = SharedCounts.of(2)
    first.parts[0][-1], second.parts[1][0] = 1.0, 2.0
    assert (second.parts[0][-1], first.parts[1][0]) == (1.0, 2.0)
    assert (first.parts[0][0], first.parts[1][-1]) == (0.0, 0.0)


async def test_a_successor_counts_on_where_its_predecessor_stopped(settings: Settings, shared_dsn: Dsn) -> None:
    (counts,) = SharedCounts.of(1)
    for paths in (["/health/live"] * 3, ["/health/pool"] * 2 + ["/health/live"]):
        with bind(settings) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            async with serving(settings, as_app(shared_dsn), listener, counts), aiohttp.ClientSession() as session:
                api = Api(session, url)
                for path in paths:
                    await api.get(path)
                samples = await scrape(api)
    for route, count in (("/health/live", 4), ("/health/pool", 2), ("/metrics", 1)):
        labels = {"method": "GET", "route": route, "status": "200"}
        assert one(samples, "http_requests_total", **labels) == count
