"""What must never be in a log: credentials. And what must not fill one: the same complaint again and again."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable

from aiohttp import http_exceptions, web

__all__ = ["FloodFilter", "Redaction"]

HIDDEN = "[hidden]"
_HEADER = re.compile(
    r"(?i)((?:proxy-)?authorization|(?:set-)?cookie|x-fault-token|x-api-key|api-key)(['\"]?\s*[:=,]\s*)[^\r\n]+"
)
_BEARER = re.compile(r"(?i)\b(bearer)\s+[^\s'\",]+")


class Redaction(logging.Filter):
    """Hides credentials in what a formatter makes; as a filter, keeps a request that is no HTTP from being repeated.

    `secrets` are values that this process knows to be secret.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets = tuple(secret for secret in secrets if secret)

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true; the record may not be the same afterwards."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, http_exceptions.HttpProcessingError | web.RequestPayloadError):
            # Its message shows what could not be read, the value of any header perhaps.
            record.msg, record.args = f"a request that is no HTTP was refused: {type(error).__name__}", None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            record.exc_info = record.exc_text = None
        return True

    def around(self, formatter: logging.Formatter) -> logging.Formatter:
        """The same lines, cleaned: exceptions and stacks have texts of their own."""
        return _Cleaned(self, formatter)

    def clean(self, text: str) -> str:
        """The text without what looks like, or is known to be, a credential."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return _BEARER.sub(rf"\1 {HIDDEN}", _HEADER.sub(rf"\1\2{HIDDEN}", text))


class _Cleaned(logging.Formatter):
    def __init__(self, redaction: Redaction, inner: logging.Formatter) -> None:
        super().__init__()
        self._redaction = redaction
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return self._redaction.clean(self._inner.format(record))


class FloodFilter(logging.Filter):
    """Lets `lines` of one origin pass in `per_s` seconds; the first that passes again says how many did not.

    Measured: a process without file descriptors wrote 31,000 lines in seconds.
    """

    def __init__(self, lines: int = 20, per_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._lines = lines
        self._per_s = per_s
        self._clock = clock
        self._passed: dict[tuple[str, int], tuple[float, int, int]] = {}
        self.suppressed_total = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record passes."""
        # By place in the code: messages differ in their numbers.
        origin, now_s = (record.pathname, record.lineno), self._clock()
        begin_s, passed, suppressed = self._passed.get(origin, (now_s, 0, 0))
        if now_s - begin_s >= self._per_s:
            if suppressed:
                record.msg, record.args = f"{record.getMessage()} (and {suppressed} like it before)", None
            begin_s, passed, suppressed = now_s, 0, 0
        passes = passed < self._lines
        self._passed[origin] = (begin_s, passed + passes, suppressed + (not passes))
        self.suppressed_total += not passes
        return passes
