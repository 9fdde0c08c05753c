"""Everything observed in a run, in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.model.alerts import AlertRecord
from harness.model.event import Event
from harness.model.health import Health
from harness.model.plan import Plan

__all__ = ["REQUEST_COLUMNS", "Header", "History"]

REQUEST_COLUMNS: Mapping[str, str] = {
    "lane": "user, warmup or control",
    "index": "position in the lane's schedule",
    "task": "name of the task, as in the scenario's mix",
    "scheduled_us": "microseconds from the run's origin at which it was due",
    "sent_us": "when it was really sent; null: never",
    "first_byte_us": "when the first byte of the answer came; null: none came",
    "done_us": "when it ended, by whatever outcome; null: unknown",
    "outcome": "ok, wrong_answer, http_error, refused, timeout, deadline_missed, truncated, not_sent, in_flight_at_end",
    "status": "HTTP status; null: no answer",
    "served_by": "the replica that the target names in X-Served-By",
    "ttft_us": "microseconds from sending to the first token",
    "gap_max_us": "the largest silence between two tokens of a stream, in microseconds",
    "tokens": "content pieces received",
    "checked": "whether the answer was compared with a golden one",
    "detail": "class of the error, if any",
}
"""The columns of requests.parquet, with their meaning. Times are integers so that they compress."""


@dataclass(frozen=True)
class Header:
    """What is written once, before anything happens. Wall time appears only here."""

    run_id: str
    version: str  # of the harness
    commit: str | None  # of the working tree the harness ran from
    host: str  # platform, cores
    wall_begin: str  # ISO 8601, UTC
    origin_monotonic_s: float  # the host's monotonic clock at the run's origin


@dataclass(frozen=True)
class History:
    """A whole run. `requests` maps each name of REQUEST_COLUMNS to an array, all of one length."""

    header: Header
    plan: Plan
    events: Sequence[Event]
    requests: Mapping[str, Any]
    complete: bool = True  # False: the run was interrupted or the recorder was cut off
    damage: tuple[str, ...] = ()  # sentences on records that could not be read
    alerts: AlertRecord | None = None  # of the run's Prometheus; None: there was none
    health: Health | None = None  # what its probes are worth; None: it was no run of `harness health`
