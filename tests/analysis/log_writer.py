"""Lines of logs as a target writes them, drawn from a seed: for tests of what is made of them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator

from harness.model.log_evidence import LogRecord

Change = Callable[[float], tuple[float, int | None]]
BEGIN_S = 100.0  # of the schedule, on the run's clock


def access(at_s: float, source: str, status: int | None = 200, path: str = "/v1/chat/completions") -> LogRecord:
    """One request's line."""
    row = {"at": "2026-11-21T01:20:30.000+00:00", "monotonic_s": at_s, "log": "access", "method": "POST", "path": path}
    row |= {"outcome": "ok" if status == 200 else str(status), "status": status, "total_s": 0.1}
    return LogRecord(at_s, f"{source}.access.log", json.dumps(row))


def during(begin_s: float, end_s: float, factor: float, status: int | None) -> Change:
    """So many times the requests, each with that status, between two moments."""
    return lambda at_s: (factor, status) if begin_s <= at_s < end_s else (1.0, 200)


def traffic(
    length_s: float,
    seed: str,
    rate_per_s: float = 20.0,
    change: Change | None = None,
) -> Iterator[LogRecord]:
    """Independent users of two replicas; `change(seconds)` gives the factor of the rate and the status."""
    rng, at_s = random.Random(seed), 0.0
    while (at_s := at_s + rng.expovariate(rate_per_s)) < length_s:
        factor, status = change(at_s) if change else (1.0, 200)
        if rng.random() < factor:
            yield access(BEGIN_S + at_s, "gateway", status)
            yield access(BEGIN_S + at_s, rng.choice(("primary", "standby")), status)
