"""The four stages of a recovery, as the target itself reported them. What it did not report stays null."""

from __future__ import annotations

from collections.abc import Sequence

from harness.model.event import Event
from harness.model.verdict import Stages

__all__ = ["observed_stages"]


def observed_stages(events: Sequence[Event], replica: str, begin_s: float, end_s: float) -> Stages:
    """Detect (first missed beat), isolate (last request routed there), restore (ready again), verify (readmitted).

    Only events of `replica` between `begin_s` and `end_s` count, and each only after the one before it: a replica that
    was never isolated was not restored by a restart either, as far as anybody can see.
    """

    def first(kind: str, since_s: float) -> Event | None:
        return next(
            (e for e in events if e.kind == kind and e.fields.get("replica") == replica and since_s <= e.at_s <= end_s),
            None,
        )

    detect = first("target.beat_missed", begin_s)
    isolated = first("target.isolated", begin_s)
    if isolated is None:
        return Stages(detect_s=None if detect is None else detect.at_s - begin_s)
    routed_s = isolated.fields.get("last_routed_s")
    readmitted = first("target.readmitted", isolated.at_s)
    ready = _last_ready_before(events, replica, isolated.at_s, end_s if readmitted is None else readmitted.at_s)
    return Stages(
        detect_s=(isolated if detect is None else detect).at_s - begin_s,
        isolate_s=max(0.0, (isolated.at_s if routed_s is None else float(routed_s)) - begin_s),
        restore_s=None if ready is None else ready.at_s - begin_s,
        verify_s=None if readmitted is None else readmitted.at_s - begin_s,
    )


def _last_ready_before(events: Sequence[Event], replica: str, since_s: float, until_s: float) -> Event | None:
    found = [
        e
        for e in events
        if e.kind == "target.ready_green" and e.fields.get("replica") == replica and since_s <= e.at_s <= until_s
    ]
    return found[-1] if found else None
