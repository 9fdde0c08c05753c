"""The log of one process: access, error and performance as JSON lines, and stderr as ever."""

from __future__ import annotations

import json
import logging
import queue
import re
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Literal

from target_service.observability.log_file import CLEAN_EVERY_S, CappedFileHandler
from target_service.observability.redaction import FloodFilter, Redaction
from target_service.observability.settings import ObservabilitySettings

__all__ = ["LOGS", "LogName", "Logs"]

LogName = Literal["access", "error", "performance"]
LOGS: tuple[LogName, ...] = ("access", "error", "performance")
# Lines that may wait for a slow disk; at 300 bytes a line, 3 MB.
WAITING_MAX = 10_000
LAST_WORDS_S = 1.0


class Logs:
    """Takes records and gets them written; with the guard it never waits for a disk and never raises.

    `program` begins every file's name, so that processes may share a folder.
    """

    def __init__(self, settings: ObservabilitySettings, program: str, secrets: Iterable[str] = ()) -> None:
        self.settings = settings
        self.redaction = Redaction(secrets)
        self.flood = FloodFilter() if settings.log_guard else None
        self._program = program
        self._handlers: dict[LogName, logging.Handler] = {}
        self._queue: queue.Queue[tuple[LogName, str] | None] | None = None
        self._unqueued = 0
        self._writer: threading.Thread | None = None
        if settings.log_dir is not None:
            with suppress(OSError):  # the first line that cannot be written tells of it
                settings.log_dir.mkdir(parents=True, exist_ok=True)
            self._handlers = {log: self._handler(log) for log in LOGS}
        if self._handlers and settings.log_guard:
            self._queue = queue.Queue(WAITING_MAX)
            self._writer = threading.Thread(target=self._write_all, name="log", daemon=True)
            self._writer.start()

    @property
    def dropped_total(self) -> int:
        """Lines that are in no file though they should be; unknown, and so not counted, without the guard."""
        files = sum(h.dropped_total for h in self._handlers.values() if isinstance(h, CappedFileHandler))
        return self._unqueued + files

    @property
    def suppressed_total(self) -> int:
        """Repeated complaints that were cut short."""
        return self.flood.suppressed_total if self.flood is not None else 0

    def attach(self, root: logging.Logger) -> None:
        """Guard what the handlers of `root` say; warnings and worse go to the error log as well."""
        for handler in root.handlers:
            handler.addFilter(self.redaction)
            handler.setFormatter(self.redaction.around(handler.formatter or logging.Formatter()))
            if self.flood is not None:
                handler.addFilter(self.flood)
        if self._handlers:
            root.addHandler(_ErrorLog(self))

    def write(self, log: LogName, fields: Mapping[str, object]) -> None:
        """Write one record; what is None is left out."""
        if log not in self._handlers:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        head = {"at": now, "monotonic_s": round(time.monotonic(), 3), "log": log, "program": self._program}
        line = json.dumps(head | {key: value for key, value in fields.items() if value is not None}, default=str)
        if self._queue is None:
            self._emit(log, line)
            return
        try:
            self._queue.put_nowait((log, line))
        except queue.Full:
            self._unqueued += 1

    def close(self) -> None:
        """Write what waits, for a second at most: a disk that hangs must not keep a process alive."""
        if self._queue is not None and self._writer is not None:
            with suppress(queue.Full):
                self._queue.put_nowait(None)
            self._writer.join(LAST_WORDS_S)
            if self._writer.is_alive():
                return
        for handler in self._handlers.values():
            with suppress(OSError):  # a last line for a disk that is full
                handler.close()

    def _handler(self, log: LogName) -> logging.Handler:
        settings = self.settings
        assert settings.log_dir is not None
        path = settings.log_dir / f"{re.sub(r'[^A-Za-z0-9._-]', '_', self._program)}.{log}.log"
        if not settings.log_guard:
            # What most services do: no limit, and whoever logs waits for the disk, or fails with it.
            return _Unguarded(path, encoding="utf-8", delay=True)
        share_bytes = int(settings.log_max_mb * 2**20) // len(LOGS)
        return CappedFileHandler(path, share_bytes, settings.log_keep_days)

    def _write_all(self) -> None:
        assert self._queue is not None
        while True:
            try:
                item = self._queue.get(timeout=CLEAN_EVERY_S)
            except queue.Empty:
                # Nobody writes: what is there grows too old all the same.
                for handler in self._handlers.values():
                    if isinstance(handler, CappedFileHandler):
                        handler.remove_old()
                continue
            if item is None:
                return
            self._emit(*item)

    def _emit(self, log: LogName, line: str) -> None:
        # Not through a logger: a program's log level is about words, not about what was measured.
        self._handlers[log].handle(logging.makeLogRecord({"msg": line, "levelno": logging.INFO}))


class _Unguarded(logging.FileHandler):
    """Whoever logs fails with the disk, as in services that write their access log themselves."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the standard library's name
        """Called while the error is handled, which the standard library would print and forget."""
        raise  # noqa: PLE0704


class _ErrorLog(logging.Handler):
    """Every warning and worse as a JSON line, with its stack."""

    def __init__(self, logs: Logs) -> None:
        super().__init__(logging.WARNING)
        self._logs = logs
        self.addFilter(logs.redaction)
        if logs.settings.log_guard:
            self.addFilter(FloodFilter())

    def emit(self, record: logging.LogRecord) -> None:
        clean = self._logs.redaction.clean
        stack = logging.Formatter().formatException(record.exc_info) if record.exc_info else None
        fields = {"level": record.levelname.lower(), "logger": record.name, "message": clean(record.getMessage())}
        try:
            self._logs.write("error", fields | {"stack": clean(stack) if stack is not None else None})
        except OSError:
            # Without the guard: whoever logs must not be hit by it, so says the standard library.
            self.handleError(record)
