"""Structured logs: an event is a dict that a thread of its own renders and writes, so that no request waits for it.

`structlog.get_logger()` works anywhere; what libraries log through the standard library arrives here too. The line that
every request gets goes past structlog, through `log_request`. Until `writing` is entered, structlog's defaults hold.
"""

import json
import logging
import re
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from threading import Event, Thread
from types import MappingProxyType
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor

_WRITE_SECONDS = 0.1
# A reader of the logs that stalls must not fill the memory: past this, events are dropped and counted.
_MAX_WAITING = 100_000
_CLOSE_SECONDS = 5.0
# Nothing here logs a token, but a caller may put one where it is logged: into a path, or an X-Request-Id. No match
# begins within a word or an escape of JSON; that is asked after the first letters, since these are found quickly.
_TOKENS = (
    re.compile(r"eyJ(?<![\\\w]...)[\w-]+\.eyJ[\w-]+\.[\w-]+"),
    re.compile(r"ts(?<![\\\w]..)[cr]_[\w-]{20,}"),
)
_LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)

_NONE: Mapping[str, str] = MappingProxyType({})
REQUEST: ContextVar[Mapping[str, str]] = ContextVar("request", default=_NONE)
"""The ids of the request that is being answered, which every event of it carries."""


class _Writer:
    """The end of structlog's chain: it takes events, and ten times a second a thread renders and writes them.

    The thread is not woken for each event: it would contend with the event loop for the interpreter at every request.
    """

    def __init__(self, level: int, render: Processor, stream: TextIO) -> None:
        self.level = level
        self._events: deque[EventDict] = deque()
        self._render = render
        self._stream = stream
        self._dropped = 0
        self._closing = Event()
        self._thread = Thread(target=self._run, name="logs", daemon=True)
        self._thread.start()

    def put(self, event: EventDict) -> None:
        """Take one event."""
        if len(self._events) < _MAX_WAITING:
            self._events.append(event)
        else:
            self._dropped += 1

    def _put_members(self, **event: Any) -> None:  # noqa: ANN401 -- an event holds anything
        self.put(event)

    # structlog calls the method that has the level's name.
    debug = info = warning = error = critical = _put_members

    def close(self) -> None:
        """Write what is waiting, for some seconds at most."""
        self._closing.set()
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._closing.wait(_WRITE_SECONDS):
            self._write()
        self._write()

    def _write(self) -> None:
        lines = []
        while self._events:
            lines.append(self._line(self._events.popleft()))
        if self._dropped:
            lines.append(self._line({"event": "log events dropped", "level": "warning", "count": self._dropped}))
            self._dropped = 0
        if lines:
            self._stream.write("".join(lines))
            self._stream.flush()

    def _line(self, event: EventDict) -> str:
        try:
            line = str(self._render(None, "", event))
        except Exception as error:  # noqa: BLE001 -- one event that cannot be rendered must not end all logging
            line = str(self._render(None, "", {"event": "log event lost", "level": "error", "reason": repr(error)}))
        for token in _TOKENS:
            line = token.sub("[token]", line)
        # Bytes of a request that are no UTF-8 stand in strings as lone surrogates, which no stream takes.
        return line.encode(errors="backslashreplace").decode() + "\n"


# The writers in use; the last one counts.
_writers: list[_Writer] = []


def log_request(fields: EventDict) -> None:
    """Log a request that was answered: the only event of the hot path, and so past structlog's chain (ADR 0008)."""
    if not _writers:
        structlog.get_logger().info("request", **fields)
    elif (writer := _writers[-1]).level <= logging.INFO:
        writer.put({"timestamp": datetime.now(UTC), "level": "info", "event": "request", **fields})


class _Forwarder(logging.Handler):
    """A handler that passes what the standard library's loggers say to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        event: dict[str, Any] = {"logger": record.name}
        if record.exc_info:
            event["exc_info"] = record.exc_info
        # A level between the usual ones counts as the lower of the two.
        level = max((number for number in _LEVELS if number <= record.levelno), default=logging.DEBUG)
        structlog.get_logger().log(level, record.getMessage(), **event)


def _stamp(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Add the time and the ids of the request to an event."""
    return {"timestamp": datetime.now(UTC), **REQUEST.get(), **event}


def _render_json(_logger: object, _method: str, event: EventDict) -> str:
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_UTC_Z).decode()
    except TypeError:  # a lone surrogate, or a number of more than 64 bits
        return json.dumps(event, default=str)


@contextmanager
def writing(level: str, style: str, stream: TextIO | None = None) -> Iterator[None]:
    """Write logs while the block runs, and all that are left at its end.

    Args:
        level: the lowest level written: "debug", "info", "warning" or "error".
        style: "json", one object a line, or "console".
        stream: where to; standard error by default.
    """
    stream = stream or sys.stderr
    number = logging.getLevelNamesMapping()[level.upper()]
    render = _render_json if style == "json" else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    writer = _Writer(number, render, stream)
    structlog.configure(
        processors=[
            _stamp,
            structlog.processors.add_log_level,
            # Here and not in the writer's thread: a traceback as plain text, which shows no value of a variable.
            structlog.processors.format_exc_info,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: writer,
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Forwarder()], level=number, force=True)
    _writers.append(writer)
    try:
        yield
    finally:
        _writers.remove(writer)
        writer.close()
        logging.basicConfig(handlers=[logging.NullHandler()], force=True)
        structlog.reset_defaults()
