"""Several processes that accept on one listening socket: a parent that forks, replaces and waits, and its workers.

The parent has neither a loop nor a thread, so that it can fork at any time. A worker is what one process is without
workers: a loop, a pool, a thread for the logs. On a pipe of its own it says that it is ready, or why it cannot be.

On two more pipes nothing is ever said; all that counts is when they end. Only the parent holds the lifeline open, so it
ends when the parent stops or dies, and then all workers drain. Everybody who listens holds the gate open, and clients
are not asked to leave before it has ended: one that leaves comes back at once, and would else be taken in by a worker
that is about to close.
"""

import asyncio
import os
import signal
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Never

import structlog

from service.database.errors import DatabaseUnusable
from service.dsn import Dsn
from service.http.metrics import SharedCounts
from service.logs import writing
from service.migrate.files import MigrationError
from service.serve import ServeError, run, serving
from service.settings import Settings

log = structlog.get_logger()

_STOP = (signal.SIGTERM, signal.SIGINT)
_AWAITED = (*_STOP, signal.SIGCHLD)
_LOOK_SECONDS = 0.02
# What a drain takes beside SHUTDOWN_TIMEOUT, with some to spare. A worker that is not through by then never will be.
_DRAIN_SECONDS = 10.0
_GATE_SECONDS = 1.0
_READY = b"ready"


@dataclass(slots=True)
class _Worker:
    """A process that serves, as its parent knows it."""

    counts: SharedCounts
    pid: int
    pipe: int
    said: bytes = b""

    @property
    def number(self) -> int:
        """The number that it has in the logs and the metrics."""
        return self.counts.worker + 1

    @property
    def is_ready(self) -> bool:
        """True if it has ever been ready to answer requests."""
        with suppress(BlockingIOError):
            self.said += os.read(self.pipe, 4096)
        return self.said == _READY

    def exit_code(self) -> int | None:
        """Return its exit code, once: minus the signal, where one ended it; None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None


@dataclass(slots=True)
class _Crew:
    """The workers, and what each of them is made with."""

    settings: Settings
    dsn: Dsn
    listener: socket.socket
    lifeline: tuple[int, int] = field(default_factory=os.pipe)
    gate: tuple[int, int] = field(default_factory=os.pipe)
    workers: list[_Worker] = field(default_factory=list)

    def add(self, counts: SharedCounts) -> None:
        """Fork one worker."""
        pipe, its_pipe = os.pipe()
        if not (pid := os.fork()):
            os.close(self.lifeline[1])
            _work(self, counts, its_pipe)
        os.close(its_pipe)
        os.set_blocking(pipe, False)
        self.workers.append(_Worker(counts, pid, pipe))

    def ended(self) -> list[tuple[_Worker, int]]:
        """Return the workers that are no more, once, with their exit codes."""
        ended = [(worker, code) for worker in self.workers if (code := worker.exit_code()) is not None]
        for worker, _ in ended:
            self.workers.remove(worker)
        return ended

    def replace_ended(self) -> None:
        """Fork a worker for each that is no more.

        Raises:
            ServeError: one had not even started; so another would not, either.
        """
        for worker, code in self.ended():
            if not worker.is_ready:
                raise ServeError(
                    worker.said.decode() or f"Worker {worker.number} ended with {code} before it was ready."
                )
            os.close(worker.pipe)
            self.add(worker.counts)
            with writing(self.settings.log_level, self.settings.log_format):  # its thread is gone before the next fork
                log.error("worker replaced", worker=worker.number, pid=worker.pid, exit_code=code)

    def stop(self) -> None:
        """Have every worker drain, and wait until they have.

        Raises:
            ServeError: there was a second signal, or no end of it, and they were killed.
        """
        self.listener.close()
        os.close(self.gate[1])
        os.close(self.lifeline[1])
        deadline = time.monotonic() + self.settings.shutdown_timeout + _DRAIN_SECONDS
        while self.workers:
            caught = signal.sigtimedwait(_AWAITED, max(0.0, deadline - time.monotonic()))
            self.ended()
            if self.workers and (caught is None or caught.si_signo in _STOP):
                for worker in self.workers:
                    os.kill(worker.pid, signal.SIGKILL)
                    os.waitpid(worker.pid, 0)
                raise ServeError("Workers were killed before they had drained.")


def serve_by_workers(settings: Settings, dsn: Dsn, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve from WORKERS processes until SIGTERM or SIGINT, then drain as `serve` does; a second signal kills them.

    No thread may run in the process that calls this.

    Args:
        settings: the service's settings; each worker has a pool of its own.
        dsn: the database, whose schema is as the code needs it.
        listener: the bound socket, which is closed at the end.
        on_ready: called once all workers answer requests.

    Raises:
        ServeError: a worker cannot start, or workers had to be killed.
    """
    crew = _Crew(settings, dsn, listener)
    with _signals_held():
        try:
            for counts in SharedCounts.of(settings.workers):
                crew.add(counts)
            while not all(worker.is_ready for worker in crew.workers):
                caught = signal.sigtimedwait(_AWAITED, _LOOK_SECONDS)
                if caught and caught.si_signo in _STOP:
                    return
                crew.replace_ended()
            on_ready()
            while signal.sigwait(_AWAITED) == signal.SIGCHLD:
                crew.replace_ended()
        finally:
            crew.stop()


@contextmanager
def _signals_held() -> Iterator[None]:
    """Have signals wait until they are asked for."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(crew: _Crew, counts: SharedCounts, pipe: int) -> Never:
    """Be a worker. It must not return to what was the parent's stack, which would stop the parent's database."""
    exit_code = 1
    try:
        run(crew.settings, _serve_until_stopped(crew, counts, pipe))
        exit_code = 0
    except (ServeError, DatabaseUnusable, MigrationError) as error:
        os.write(pipe, str(error).encode())
    except BaseException:  # noqa: BLE001 -- there is nobody further out to tell it to
        traceback.print_exc()
    finally:
        os._exit(exit_code)


async def _serve_until_stopped(crew: _Crew, counts: SharedCounts, pipe: int) -> None:
    stopping, closed, loop = asyncio.Event(), asyncio.Event(), asyncio.get_running_loop()
    _at_end_of(crew.lifeline[0], stopping)
    # Whoever signals the service may signal every process of it. Ctrl-C does, and is the parent's to heed.
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _AWAITED)

    async def wait_for_others() -> None:
        os.close(crew.gate[1])
        _at_end_of(crew.gate[0], closed)
        with suppress(TimeoutError):  # no others are to stop, or one hangs
            async with asyncio.timeout(_GATE_SECONDS):
                await closed.wait()

    async with serving(crew.settings, crew.dsn, crew.listener, counts, wait_for_others):
        os.write(pipe, _READY)
        await stopping.wait()


def _at_end_of(pipe: int, event: asyncio.Event) -> None:
    """Set an event when nobody holds the other end of a pipe any more."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        loop.remove_reader(pipe)
        event.set()

    loop.add_reader(pipe, end)
