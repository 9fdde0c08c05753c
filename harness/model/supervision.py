"""Who restarts replicas that died, and how: part of a scenario's `target`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Interval, Le

from harness.model.fault import STRICT, Seconds, SecondsAboveZero

__all__ = ["OPTIONS_OF", "Supervision", "Supervisor"]

Supervisor = Literal["budget", "always", "unexpected", "never", "cron-script", "retry-script"]
"""`budget` is the good one, the others are what the world runs; CONTRIBUTING.md says what each misses."""

Status = Annotated[int, Interval(ge=0, le=255)]


@dataclass(frozen=True, kw_only=True)
class Supervision:
    """Options of the supervisor. Each is known to some supervisors only; the others refuse it."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    normal_exit_codes: Sequence[Status] | None = None
    """Exit statuses that are no crash, so they are not restarted. Default: none, for a server that exits unasked has
    crashed, whatever its status; with `unexpected`, 0."""
    max_restarts: Annotated[int, Ge(0)] = 5
    """So many restarts ..."""
    per_s: SecondsAboveZero = 60.0
    """... within so many seconds; at the next crash the replica is given up."""
    backoff_s: Seconds = 0.5
    """Wait before the second restart in a row, doubled each time; the first is at once. 0: never wait."""
    backoff_max_s: Seconds = 10.0
    """The longest wait."""
    jitter: Annotated[float, Ge(0), Le(1)] = 0.5
    """Share of each wait that is drawn from the seed, so that replicas which died together do not return together."""
    stable_s: Seconds = 10.0
    """Who ran so long has recovered, and begins at the first wait again."""
    clean_orphans: bool = True
    """Kill children that outlived the dead server, before its restart."""
    clean_files: bool = True
    """Remove shared memory and sockets that only the dead server held, before its restart."""
    port_wait_s: Seconds = 10.0
    """How long to wait for its port to be free before a restart. 0: do not look."""
    liveness_period_s: Seconds = 0.0
    """How often /health is asked; who hangs is killed, and restarted as any crash. 0: only the dead are restarted."""
    liveness_timeout_s: SecondsAboveZero = 1.0
    """How long an answer may take."""
    liveness_failures: Annotated[int, Ge(1)] = 3
    """So many in a row kill it."""
    liveness_loading_s: Seconds | None = None
    """How long a replica that never was ready is left to load; then it is killed as one that hangs. None: for ever."""
    period_s: SecondsAboveZero = 60.0
    """How often a script is run: the minute of its cron."""
    pause_s: Seconds = 3.0
    """What cron-script sleeps between its kill and its start."""
    retries: Annotated[int, Ge(1)] = 3
    """How often retry-script restarts before it says that it failed."""
    retry_delay_s: Seconds = 5.0
    """What retry-script sleeps after each restart."""


OPTIONS_OF: Mapping[Supervisor, frozenset[str]] = {
    "budget": frozenset(
        {
            *("normal_exit_codes", "max_restarts", "per_s", "backoff_s", "backoff_max_s", "jitter", "stable_s"),
            *("clean_orphans", "clean_files", "port_wait_s"),
            *("liveness_period_s", "liveness_timeout_s", "liveness_failures", "liveness_loading_s"),
        }
    ),
    "always": frozenset(),
    "unexpected": frozenset({"normal_exit_codes"}),
    "never": frozenset(),
    "cron-script": frozenset({"period_s", "pause_s"}),
    "retry-script": frozenset({"period_s", "retries", "retry_delay_s"}),
}
"""Which options each supervisor has."""
