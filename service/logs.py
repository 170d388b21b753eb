"""Structured logs: an event is a dict that a thread of its own renders and writes, so that no request waits for it.

`structlog.get_logger()` works anywhere; what libraries log through the standard library arrives here too. Until
`writing` is entered, structlog's defaults hold.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor

# A reader of the logs that stalls must not fill the memory: past this, events are dropped and counted.
_MAX_WAITING = 10_000
_CLOSE_SECONDS = 5.0


class _Writer:
    """The end of structlog's chain: it takes events, and a thread renders and writes them in batches."""

    def __init__(self, render: Processor, stream: TextIO) -> None:
        self._events: SimpleQueue[EventDict | None] = SimpleQueue()
        self._render = render
        self._stream = stream
        self._dropped = 0
        self._thread = Thread(target=self._write, name="logs", daemon=True)
        self._thread.start()

    def put(self, **event: Any) -> None:  # noqa: ANN401 -- an event holds anything
        """Take one event."""
        if self._events.qsize() < _MAX_WAITING:
            self._events.put(event)
        else:
            self._dropped += 1

    # structlog calls the method that has the level's name.
    debug = info = warning = error = critical = put

    def close(self) -> None:
        """Write what is waiting, for some seconds at most."""
        self._events.put(None)
        self._thread.join(_CLOSE_SECONDS)

    def _write(self) -> None:
        while True:
            event = self._events.get()
            if event is None:
                return
            lines = [self._line(event)]
            while not self._events.empty() and (event := self._events.get()) is not None:
                lines.append(self._line(event))
            if self._dropped:
                lines.append(f"{self._dropped} log events were dropped: the reader of the logs is too slow.\n")
                self._dropped = 0
            self._stream.write("".join(lines))
            self._stream.flush()
            if event is None:
                return

    def _line(self, event: EventDict) -> str:
        return f"{self._render(None, '', event)!s}\n"


class _Forwarder(logging.Handler):
    """Hands what the standard library's loggers say to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        event: dict[str, Any] = {"logger": record.name}
        if record.exc_info:
            event["exc_info"] = record.exc_info
        structlog.get_logger().log(record.levelno, record.getMessage(), **event)


def _render_json(_logger: object, _method: str, event: EventDict) -> str:
    return orjson.dumps(event, default=str).decode()


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
    writer = _Writer(render, stream)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Here and not in the writer's thread: a traceback as plain text, which shows no value of a variable.
            structlog.processors.format_exc_info,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: writer,
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Forwarder()], level=number, force=True)
    try:
        yield
    finally:
        writer.close()
        logging.basicConfig(handlers=[logging.NullHandler()], force=True)
        structlog.reset_defaults()
