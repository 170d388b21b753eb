"""A run that was cut off: the next `apply` alone leads to the schema, the rows and the notes of one that was not."""

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from service.database import embedded
from service.dsn import Dsn
from service.migrate import runner
from service.migrate.errors import MigrationError
from service.migrate.progress import Conduct, Progress
from service.migrate.standing import State
from tests.migrate.example import add_rows
from tests.migrate.interrupting import SECONDS, Moment, Proxy, Runner
from tests.migrate.laboratory import (
    CHANGE_ROWS,
    CONCURRENT,
    CREATE_INDEX,
    DROP_INDEX,
    IDS,
    MORE,
    NOTES,
    Lab,
    lab,
    select,
    tally,
    until,
    until_the_session_has_ended,
)
from tests.processes import folder
from tests.sharing import on_one_postgresql

__all__ = ["folder", "lab", "tally"]

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600), on_one_postgresql]

MOMENTS: tuple[Moment, ...] = ("before", "during")
# The last that a run does before it comes to the migrations.
PREPARED = b"CREATE TABLE IF NOT EXISTS _migration_checksum"
SERIES = 8
ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Step:
    """A point at which a run can be killed: its n-th request, or the n-th of its migration; the moment; the request."""

    number: int
    is_preparation: bool
    moment: Moment
    request: bytes

    def holder(self) -> Callable[[int, bytes], bool]:
        """Return what tells a proxy to hold up a run there, however often that asks for the lock before."""
        begun = 0 if self.is_preparation else None

        def holds(number: int, request: bytes) -> bool:
            nonlocal begun
            if not self.is_preparation and PREPARED in request:
                begun = number
            return begun is not None and number == begun + self.number

        return holds


def steps(run: Callable[..., list[str]], dsn: Dsn, folder: Path, **options: Any) -> tuple[list[Step], list[Step]]:
    """Run without interruption, and return where that can be killed: before its migration, and in it."""
    with Proxy(dsn) as proxy, Runner(run, proxy.dsn, folder, **options) as process:
        assert len(process.result()) == 1
    [prepared] = [number for number, request in enumerate(proxy.requests, 1) if PREPARED in request]
    preparation, migration = (
        [
            Step(number, is_preparation, moment, request)
            for number, request in enumerate(requests, 1)
            for moment in MOMENTS
            # In a SAVEPOINT there is nothing that could be cut off.
            if moment == "before" or b"SAVEPOINT" not in request
        ]
        for requests, is_preparation in ((proxy.requests[:prepared], True), (proxy.requests[prepared:], False))
    )
    return preparation, migration


def in_series(migration: list[Step], id_: str) -> Iterator[list[Step]]:
    """Group steps, so that what the runs of one group have left is repaired at once.

    Up to its COMMIT a transaction leaves nothing. Each run of a group meets what those before it left, and could not
    get to its own step if that were in its way.
    """
    commits = [at for at, step in enumerate(migration) if b"COMMIT\0" in step.request and step.moment == "during"]
    alone = 0 if id_ in CONCURRENT else commits[-1]
    yield from (migration[at : min(at + SERIES, alone)] for at in range(0, alone, SERIES))
    yield from ([step] for step in migration[alone:])


def kill(lab: Lab, run: Callable[..., list[str]], dsn: Dsn, folder: Path, step: Step, **options: Any) -> None:
    """Kill a run at a step."""
    with Proxy(dsn, step.holder(), step.moment) as proxy, Runner(run, proxy.dsn, folder, **options) as process:
        proxy.wait()
        process.kill()
    lab.tally["kills"] += 1


# kill -9, at every step


@pytest.mark.parametrize("id_", IDS)
def test_a_run_that_is_killed_at_any_step_is_repaired_by_the_next(lab: Lab, id_: str) -> None:
    folder = lab.folder(id_)
    with lab.before(id_) as base:
        with lab.database(base.database) as dsn:
            preparation, migration = steps(runner.apply, dsn, folder)
            expected = lab.outcome(dsn)
        assert expected.log == [f"apply {one}" for one in IDS[: IDS.index(id_) + 1]]
        # What comes before a migration is the same for each, but for the first, which finds nothing at all.
        alone = [[step] for step in preparation] if id_ == IDS[0] else []
        for series in (*alone, *in_series(migration, id_)):
            with lab.database(base.database) as dsn:
                for step in series:
                    kill(lab, runner.apply, dsn, folder, step)
                assert lab.repair(dsn, id_) in ([], [id_]), series
                assert lab.outcome(dsn) == expected, series


@pytest.mark.parametrize("id_", ["0005.create-removals", *MORE])
def test_a_rollback_that_is_killed_at_any_step_is_repaired_by_the_next_run(lab: Lab, id_: str) -> None:
    folder = lab.folder(id_)
    with lab.after(id_) as base:
        untouched = lab.outcome(base)
        with lab.database(base.database) as dsn:
            _, migration = steps(runner.rollback, dsn, folder, lose_data=True)
            rolled_back = lab.outcome(dsn)
            runner.apply(dsn, folder)
            applied_again = lab.outcome(dsn)
        # One that is not transactional may be done by half, and is applied again before it was rolled back.
        half = replace(untouched, log=[*untouched.log, f"apply {id_}"])
        for rolls_back, series in product([True, False], in_series(migration, id_)):
            with lab.database(base.database) as dsn:
                for step in series:
                    kill(lab, runner.rollback, dsn, folder, step, lose_data=True)
                until_the_session_has_ended(dsn)
                # Whoever was about to roll back does so, or whoever comes next applies.
                if rolls_back:
                    if any(note[0] == id_ for note in select(dsn, NOTES)):
                        assert runner.rollback(dsn, folder, lose_data=True) == [id_], series
                        lab.tally["finished by the next run"] += 1
                    assert lab.outcome(dsn) == rolled_back, series
                elif lab.repair(dsn, id_):
                    assert lab.outcome(dsn) in ([half, applied_again] if id_ in CONCURRENT else [applied_again]), series
                else:
                    assert lab.outcome(dsn) == untouched, series


@pytest.mark.parametrize("seed", [1, 2])
def test_three_runs_at_once_that_are_killed_again_and_again_get_there_in_the_end(lab: Lab, seed: int) -> None:
    chance = random.Random(seed)
    folder = lab.folder(IDS[-1])

    def end(process: Runner, delay: float) -> None:
        time.sleep(delay)
        lab.tally["kills"] += process.is_alive
        process.kill()

    with lab.database() as undisturbed:
        runner.apply(undisturbed, folder)
        expected = lab.outcome(undisturbed)
    with lab.database() as dsn:
        for number in range(ROUNDS):
            # Later and later, so that even on a busy machine each gets a little further.
            delays = [chance.uniform(0.01, 0.1 + number / 50) for _ in range(3)]
            with ExitStack() as runs:
                threads = [
                    threading.Thread(target=end, args=(runs.enter_context(Runner(runner.apply, dsn, folder)), delay))
                    for delay in delays
                ]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            if all(standing.state is State.APPLIED for standing in runner.status(dsn, folder)):
                break
        assert number < ROUNDS - 1
        assert lab.repair(dsn, IDS[-1]) == []
        assert lab.outcome(dsn) == expected
    assert lab.tally["kills"] >= 3


# An index that is being made


@contextmanager
def building(lab: Lab, dsn: Dsn) -> Iterator[tuple[Runner, int]]:
    """Lend a run whose CREATE INDEX CONCURRENTLY waits for another transaction, and the process of its session."""
    with psycopg.connect(dsn.libpq_url) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT FROM notes")
        with Runner(runner.apply, dsn, lab.folder(CREATE_INDEX)) as process:
            waits = (
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
                " AND query LIKE '%CREATE INDEX%'"
            )
            [(pid,)] = until(lambda: select(dsn, waits))
            assert select(dsn, "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid") == [
                ("notes_title_idx",)
            ]
            yield process, pid


def test_an_index_whose_session_ended_while_it_was_made_is_made_again(lab: Lab) -> None:
    with lab.before(CREATE_INDEX) as base:
        expected = lab.undisturbed(base, CREATE_INDEX)
        with lab.database(base.database) as dsn:
            with building(lab, dsn) as (process, pid):
                select(dsn, f"SELECT pg_terminate_backend({pid})")
                with pytest.raises(MigrationError, match=r"terminating connection .* may have left an invalid index"):
                    process.result()
            lab.tally["sessions ended"] += 1
            assert lab.repair(dsn, CREATE_INDEX) == [CREATE_INDEX]
            assert lab.outcome(dsn) == expected
    assert lab.tally["indexes repaired"] == 1


def test_an_index_that_is_made_for_a_run_that_was_killed_is_given_up_within_seconds(lab: Lab) -> None:
    events: list[Progress] = []
    with lab.before(CREATE_INDEX) as base:
        expected = lab.undisturbed(base, CREATE_INDEX)
        with lab.database(base.database) as dsn:
            with building(lab, dsn) as (process, pid):
                process.kill()
                killed, lab.tally["kills"] = time.monotonic(), 1
                conduct = Conduct(report=events.append)
                waiting = threading.Thread(
                    target=runner.apply, args=(dsn, lab.folder(CREATE_INDEX)), kwargs={"conduct": conduct}
                )
                waiting.start()
                until(lambda: not select(dsn, f"SELECT pid FROM pg_stat_activity WHERE pid = {pid}"))
                took = time.monotonic() - killed
            waiting.join(SECONDS)
            print(f"The session of a run that was killed ended after {took:.1f} s")  # noqa: T201 -- the guarantee's figure
            assert lab.repair(dsn, CREATE_INDEX) == []
            assert lab.outcome(dsn) == expected
    assert f"another run holds the lock: process {pid} (task-service migrate" in events[0].detail
    assert "repaired" in [event.event for event in events]
    assert took < 5


# A run that is stopped, but not dead


@contextmanager
def stopped(dsn: Dsn, folder: Path, at: bytes) -> Iterator[tuple[Runner, int]]:
    """Lend a run that was stopped while PostgreSQL did what it had asked, and the process of its session."""
    with (
        Proxy(dsn, lambda _number, request: at in request) as proxy,
        Runner(runner.apply, proxy.dsn, folder) as process,
    ):
        proxy.wait()
        process.stop()
        proxy.release()
        [(pid,)] = select(dsn, "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted")
        with pytest.raises(
            MigrationError, match=rf"^Another run holds the lock .*: process {pid} \(task-service migrate"
        ):
            runner.apply(dsn, folder, conduct=Conduct(patience=1))
        began = time.monotonic()
        assert [standing.state for standing in runner.status(dsn, folder)].count(State.PENDING) == 1
        assert time.monotonic() - began < 10  # it waits for no lock
        yield process, pid


IN_THE_MIDDLE = {
    CREATE_INDEX: b"CREATE INDEX",
    DROP_INDEX: b"DROP INDEX",
    CHANGE_ROWS: b"UPDATE notes",
    "0003.create-notes": b"COMMENT",
}


@pytest.mark.parametrize("id_", IN_THE_MIDDLE)
@pytest.mark.parametrize("end", ["continued", "killed", "cut off"])
def test_a_run_that_is_stopped_holds_up_others_and_harms_nothing(lab: Lab, id_: str, end: str) -> None:
    folder = lab.folder(id_)
    with lab.before(id_) as base:
        expected = lab.undisturbed(base, id_)
        with lab.database(base.database) as dsn:
            with stopped(dsn, folder, IN_THE_MIDDLE[id_]) as (process, pid):
                lab.tally["stops"] += 1
                if end == "continued":
                    process.proceed()
                    assert process.result() == [id_]
                elif end == "killed":
                    lab.tally["kills"] += 1
                    process.kill()
                else:
                    # What another run does in the meantime stays as it is when the first one wakes up.
                    lab.tally["sessions ended"] += 1
                    assert select(dsn, f"SELECT pg_terminate_backend({pid}, 5000)") == [(True,)]
                    assert lab.repair(dsn, id_) == [id_]
                    process.proceed()
                    with pytest.raises(MigrationError, match=r"terminating connection|closed the connection"):
                        process.result()
            lab.repair(dsn, id_)
            assert lab.outcome(dsn) == expected


# A server that is killed


@pytest.mark.parametrize(
    ("id_", "at", "moment"),
    [
        (CHANGE_ROWS, b"UPDATE notes", "after"),
        (CHANGE_ROWS, b"COMMIT", "before"),
        (CHANGE_ROWS, b"COMMIT", "after"),
        (CREATE_INDEX, b"CREATE INDEX", "after"),
    ],
)
def test_a_server_that_is_killed_amid_a_migration_comes_back_to_be_migrated(
    lab: Lab, folder: Path, id_: str, at: bytes, moment: Moment
) -> None:
    began_to_migrate = threading.Event()

    def holds(_number: int, request: bytes) -> bool:
        if PREPARED in request:
            began_to_migrate.set()
        return began_to_migrate.is_set() and at in request

    options = {"fsync": "off"}
    with embedded.running(folder, options=options) as server:
        own = Lab(server, lab.path, lab.tally)
        with own.before(id_) as base:
            expected = own.undisturbed(base, id_)
        runner.apply(server.dsn, own.folder(IDS[IDS.index(id_) - 1]))
        add_rows(server.dsn)
        rows_before = select(server.dsn, "SELECT count(*) FROM notes")
        with Proxy(server.dsn, holds, moment) as proxy, Runner(runner.apply, proxy.dsn, own.folder(id_)) as process:
            proxy.wait()
            postmaster = psutil.Process(server.pid)
            for one in (postmaster, *postmaster.children()):
                with suppress(psutil.NoSuchProcess):
                    one.send_signal(signal.SIGKILL)
            lab.tally["servers killed"] += 1
            proxy.release()
            with pytest.raises(MigrationError) as failure:
                process.result()
    print(failure.value)  # noqa: T201 -- what an operator reads
    with embedded.running(folder, options=options) as server:
        own = Lab(server, lab.path, lab.tally)
        own.repair(server.dsn, id_)
        found = own.outcome(server.dsn)
        assert (found.schema, found.notes) == (expected.schema, expected.notes)
        assert select(server.dsn, "SELECT count(*) FROM notes") == rows_before
        if id_ == CHANGE_ROWS:
            assert select(server.dsn, "SELECT DISTINCT title, words, version FROM notes") == [
                ("Water the plants!", 3, 2)
            ]
