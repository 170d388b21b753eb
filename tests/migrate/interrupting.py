"""A runner in a process of its own, and a proxy before PostgreSQL that holds it up at any of its requests."""

import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from io import BufferedReader
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from service.dsn import Dsn
from service.migrate.errors import MigrationError

SECONDS = 30.0
"""The time after which a test stops waiting, and fails."""

Moment: TypeAlias = Literal["before", "during", "after"]
"""The moment of a request: before PostgreSQL hears of it, while it is done, or when an answer is sent but not heard."""

# Forked from a process that has imported the runner and has no threads: as quick as fork, and as clean as a new one.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["tests.migrate.interrupting", "service.migrate.runner"])

# A request ends with one of these messages: Query, Sync, an answer to the question for a password, Terminate.
_LAST = frozenset(b"QSpX")
# What PostgreSQL says of authentication without waiting for an answer: that it is done, and SCRAM's last word.
_NO_QUESTION = frozenset({0, 12})


class Runner:
    """A run in a process of its own, which is killed at the end of the block if it has not ended."""

    def __init__(self, run: Callable[..., list[str]], dsn: Dsn, folder: Path, **options: Any) -> None:
        """Start `run`, which is `runner.apply` or `runner.rollback`."""
        self._receiver, sender = _processes.Pipe(duplex=False)
        self._process = _processes.Process(target=_run, args=(sender, run, dsn, folder, options), daemon=True)
        self._process.start()
        sender.close()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self.kill()
        self._receiver.close()

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self._process.kill()
        self._process.join(SECONDS)

    def stop(self) -> None:
        """Freeze it where it is."""
        self._signal(signal.SIGSTOP)

    def proceed(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    @property
    def is_alive(self) -> bool:
        """True while it has not ended."""
        return self._process.is_alive()

    def result(self) -> list[str]:
        """Wait for its end and return what it returned.

        Raises:
            MigrationError: what it raised.
        """
        assert self._receiver.poll(SECONDS)
        said = self._receiver.recv()
        if isinstance(said, MigrationError):
            raise said
        assert isinstance(said, list)
        return said

    def _signal(self, number: signal.Signals) -> None:
        assert self._process.pid
        os.kill(self._process.pid, number)


def _run(sender: Connection, run: Callable[..., list[str]], dsn: Dsn, folder: Path, options: dict[str, Any]) -> None:
    try:
        said: list[str] | MigrationError = run(dsn, folder, **options)
    except MigrationError as error:
        said = MigrationError(str(error))
    sender.send(said)


class Proxy:
    """A proxy before PostgreSQL. It counts the requests of the session that migrates, which is the first to connect.

    Attributes:
        dsn: the database, through the proxy.
        requests: what that session has sent, in order.
    """

    def __init__(
        self,
        upstream: Dsn,
        holds: Callable[[int, bytes], bool] = lambda _number, _request: False,
        moment: Moment = "before",
    ) -> None:
        """Listen.

        Args:
            upstream: the database.
            holds: whether to hold up the request of this number, from 1; once at the most.
            moment: when.
        """
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._upstream, self._holds, self._moment = upstream, holds, moment
        self._sockets, self._threads = [self._listener], [threading.Thread(target=self._accept)]
        self._reached, self._released = threading.Event(), threading.Event()
        self.dsn = replace(upstream, host="127.0.0.1", port=self._listener.getsockname()[1])
        self.requests: list[bytes] = []

    def __enter__(self) -> Self:
        """Begin."""
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        """End every connection."""
        self._released.set()
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(SECONDS)

    def wait(self) -> None:
        """Wait until a request is held up."""
        assert self._reached.wait(SECONDS)

    def release(self) -> None:
        """Let the request go on, and all that come after it."""
        self._released.set()

    def _accept(self) -> None:
        with suppress(OSError):  # it is closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((str(self._upstream.host), int(self._upstream.port or 0)))
                is_first = len(self._sockets) == 1
                self._sockets += [client, server]
                self._threads.append(threading.Thread(target=self._serve, args=(client, server, is_first)))
                self._threads[-1].start()

    def _serve(self, client: socket.socket, server: socket.socket, is_counted: bool) -> None:  # noqa: FBT001 -- a thread's arguments have no names
        """Hand on one request, then its answer, then the next: a runner waits for each."""
        with suppress(OSError), client, server, client.makefile("rb") as asked, server.makefile("rb") as answered:
            request = _first_request(asked)
            while request:
                is_held = is_counted and self._is_held(request)
                if is_held and self._moment == "before":
                    self._hold()
                server.sendall(request)
                if is_held and self._moment == "during":
                    self._hold()
                answer, goes_on = _answer(answered)
                if is_held and self._moment == "after":
                    self._hold()
                client.sendall(answer)
                request = _request(asked) if goes_on else b""

    def _is_held(self, request: bytes) -> bool:
        self.requests.append(request)
        return not self._reached.is_set() and self._holds(len(self.requests), request)

    def _hold(self) -> None:
        self._reached.set()
        self._released.wait(SECONDS)


def _first_request(stream: BufferedReader) -> bytes:
    """Read the request to connect, which alone has no type."""
    size = stream.read(4)
    return size + stream.read(int.from_bytes(size, "big") - 4) if size else b""


def _request(stream: BufferedReader) -> bytes:
    """Read messages to the end of a request; nothing where the runner is gone."""
    request = b""
    while message := _message(stream):
        request += message
        if message[0] in _LAST:
            return request
    return b""


def _answer(stream: BufferedReader) -> tuple[bytes, bool]:
    """Read messages until PostgreSQL waits for a request, or ends; return them, and whether it waits."""
    answer = b""
    while message := _message(stream):
        answer += message
        if message[:1] == b"Z" or (message[:1] == b"R" and int.from_bytes(message[5:9], "big") not in _NO_QUESTION):
            return answer, True
    return answer, False


def _message(stream: BufferedReader) -> bytes:
    head = stream.read(5)
    return head + stream.read(int.from_bytes(head[1:], "big") - 4) if len(head) == 5 else b""
