"""When a line of a log was written, on the run's clock, by the stamp at its begin."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from harness.model.history import Header

__all__ = ["LogClock", "clock_of"]

STAMP_BYTES = 120  # a stamp lies within so much of a line's begin
_MONOTONIC = re.compile(rb"(?:\S+Z )?(\d{1,9}\.\d{3}) ")
_JSON = re.compile(rb'(?:\S+Z )?\{"at": "[^"]{1,40}", "monotonic_s": (\d{1,9}(?:\.\d{1,9})?)[,}]')
_RFC3339 = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d))")
_LOCAL = re.compile(rb"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3})")


@dataclass(frozen=True)
class LogClock:
    """From a line's stamp to seconds from the run's origin.

    Stamps are the host's monotonic clock (28471.194, or `monotonic_s` of a JSON line, as the reference target writes),
    RFC 3339 (containers), or local time (supervisord). Wall times are as exact as the header's, a second.
    """

    origin_monotonic_s: float
    wall_s: float | None  # of the origin, since 1970

    def seconds(self, line: bytes) -> float | None:
        """None: the line has no stamp."""
        found = _MONOTONIC.match(line) or _JSON.match(line)
        if found:
            return float(found.group(1)) - self.origin_monotonic_s
        if self.wall_s is None:
            return None
        try:
            if found := _RFC3339.match(line):
                text = re.sub(r"(\.\d{6})\d+", r"\1", found.group(1).decode())
                return datetime.fromisoformat(text).timestamp() - self.wall_s
            if found := _LOCAL.match(line):
                stamp = datetime.fromisoformat(found.group(1).decode()).timestamp()
                return stamp + int(found.group(2)) / 1000 - self.wall_s
        except (ValueError, OverflowError, OSError):
            return None
        return None


def clock_of(header: Header) -> LogClock:
    """The clock of a run."""
    try:
        wall_s: float | None = datetime.fromisoformat(header.wall_begin).timestamp()
    except ValueError:
        wall_s = None
    return LogClock(header.origin_monotonic_s, wall_s)
