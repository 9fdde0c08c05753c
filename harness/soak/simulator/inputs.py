"""What is simulated: a service of replicas behind a gateway, its clients, its outages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.model.errors import HarnessError

__all__ = ["Clients", "Outage", "Service", "SimulationError", "check_outages"]


class SimulationError(HarnessError):
    """What was to be simulated makes no sense; the message says which number."""


@dataclass(frozen=True)
class Outage:
    """A replica does not serve from `begin_s` until before `end_s` (may be infinite).

    `crash`: what it holds is lost at `begin_s`, tries are refused, and it begins anew at `end_s`. `hang`: it takes
    tries and does nothing with them until it goes on. Where outages of one replica overlap, the crash is what counts.
    """

    replica: int
    begin_s: float
    end_s: float
    kind: Literal["crash", "hang"] = "crash"


@dataclass(frozen=True)
class Service:
    """Replicas with `servers` places each, which serve first come first served, and the gateway before them.

    `queue_limit`: how many may wait at a replica, None for any number; more are rejected at once. `routing`: `primary`
    sends all to the first replica believed to be up, `spread` goes round. A replica is believed to be down from
    `detect_s` after an outage began until `readmit_s` after it ended; an outage shorter than `detect_s` is not seen.
    `cancels`: work whose client has given up is dropped. Else it is done in vain, as a server does that does not look.
    """

    replicas: int = 1
    servers: int = 1
    queue_limit: int | None = None
    routing: Literal["primary", "spread"] = "primary"
    detect_s: float = 1.0
    readmit_s: float = 0.0
    cancels: bool = True

    def __post_init__(self) -> None:
        _need(self.replicas >= 1, "replicas", self.replicas, "at least 1")
        _need(self.servers >= 1, "servers", self.servers, "at least 1")
        _need(self.queue_limit is None or self.queue_limit >= 0, "queue_limit", self.queue_limit, "0 or more")
        _need(self.detect_s >= 0 and self.readmit_s >= 0, "detect_s and readmit_s", self.detect_s, "0 or more")


@dataclass(frozen=True)
class Clients:
    """When clients give up, and when they try again. None: no limit.

    A request is lost at `deadline_s` after it was due; each try at `try_timeout_s` after it was sent. A try that is
    refused, reset or timed out is followed by another, at another replica if there is one, after `backoff_s`, doubled
    each time up to `backoff_max_s`; with `jitter` a wait drawn from 0 to that. A rejected one only with
    `retry_rejected`. Budget: each request pays in `retry_share` of a retry, a retry takes 1, `saved_max` are saved; it
    begins empty. All of it as in the reference gateway, whose defaults differ (README of the gateway).
    """

    deadline_s: float | None = None
    try_timeout_s: float | None = None
    tries_max: int = 1
    backoff_s: float = 0.05
    backoff_max_s: float = 60.0
    jitter: bool = True
    retry_share: float | None = None
    saved_max: float = 10.0
    retry_rejected: bool = False

    def __post_init__(self) -> None:
        _need(self.deadline_s is None or self.deadline_s > 0, "deadline_s", self.deadline_s, "above 0")
        _need(self.try_timeout_s is None or self.try_timeout_s > 0, "try_timeout_s", self.try_timeout_s, "above 0")
        _need(1 <= self.tries_max <= 100, "tries_max", self.tries_max, "from 1 to 100")
        _need(0 <= self.backoff_s <= self.backoff_max_s, "backoff_s", self.backoff_s, "from 0 to backoff_max_s")
        _need(self.retry_share is None or self.retry_share >= 0, "retry_share", self.retry_share, "0 or more")
        _need(self.saved_max >= 1, "saved_max", self.saved_max, "at least 1: else there is never a retry")
        if self.tries_max > 1 and self.backoff_s == 0 and self.deadline_s is None and self.retry_share is None:
            _need(self.tries_max <= 10, "backoff_s", 0, "above 0 with so many tries and neither deadline nor budget")


def check_outages(outages: Sequence[Outage], replicas: int) -> None:
    """A SimulationError when one is of a replica that is not there, or ends before it begins."""
    for one in outages:
        _need(0 <= one.replica < replicas, "an outage's replica", one.replica, f"from 0 to {replicas - 1}")
        _need(math.isfinite(one.begin_s) and one.begin_s >= 0, "an outage's begin_s", one.begin_s, "0 or more")
        _need(one.end_s > one.begin_s, "an outage's end_s", one.end_s, f"after its begin_s, {one.begin_s:g}")


def _need(holds: bool, name: str, value: object, must: str) -> None:
    if not holds:
        raise SimulationError(f"{name} is {value}: it must be {must}")
