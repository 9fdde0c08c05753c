"""What happened during a run, apart from requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Event"]


@dataclass(frozen=True)
class Event:
    """One thing that happened, `at_s` seconds from the run's origin.

    Kinds written by the harness: `run_begin`, `stack_up`, `target_ready`, `schedule_begin`, `phase_begin`,
    `fault_begin`, `fault_proof`, `fault_end`, `fault_skipped`, `fault_lost`, `counters`, `stopped`, `run_end`.
    Of a target that is somebody's own: `golden.recorded`, `probe.red`, `probe.green`.
    Kinds that a stack reports of its target start with `target.`: `target.beat_missed`, `target.isolated`,
    `target.ready_green`, `target.readmitted`, `target.golden_failed`, `target.exited`, `target.started`; and what its
    supervisor decided: `target.restarting`, `target.backing_off`, `target.given_up`, `target.not_restarted`,
    `target.cleaned_up`, `target.port_busy`, `target.unhealthy`; of a script that restarts: `target.check_hangs`,
    `target.log_truncated`, `target.second_instance`, `target.recovery_failed`.
    """

    at_s: float
    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)
