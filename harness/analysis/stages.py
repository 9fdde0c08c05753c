"""The four stages of a recovery, as the target itself reported them. What it did not report stays null."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from harness.model.event import Event
from harness.model.verdict import Stages

__all__ = ["observed_stages"]

NOTICED = ("target.beat_missed", "target.breaker_opened", "target.ejected")


def observed_stages(events: Sequence[Event], replica: str, begin_s: float, end_s: float) -> Stages:
    """When it was detected, isolated, restored and verified, in seconds after `begin_s`.

    Detected: the first missed beat or, of a replica that fails its users while its beats are green, the first time that
    its breaker opened or that it was ejected. A breaker says no more: who is kept away by one is not isolated.
    Isolated: the last request routed there. Restored: ready again. Verified: readmitted.

    `events` are sorted by time. Only those of `replica` between `begin_s` and `end_s` count, and each only after the
    one before it: a replica that was never isolated was not restored by a restart either, as far as anybody can see.
    One that was isolated again after it was readmitted was not restored by then: the last isolation counts for that.
    """
    low = bisect_left(events, begin_s, key=lambda event: event.at_s)
    high = bisect_right(events, end_s, key=lambda event: event.at_s)
    mine = [event for event in events[low:high] if event.fields.get("replica") == replica]
    noticed = [event for event in mine if event.kind in NOTICED]
    isolated = [event for event in mine if event.kind == "target.isolated"]
    detect_s = noticed[0].at_s - begin_s if noticed else None
    if not isolated:
        return Stages(detect_s=detect_s)
    after = [event for event in mine if event.at_s >= isolated[-1].at_s]
    readmitted_s = next((event.at_s for event in after if event.kind == "target.readmitted"), None)
    ready = [
        e.at_s for e in after if e.kind == "target.ready_green" and (readmitted_s is None or e.at_s <= readmitted_s)
    ]
    routed_s = isolated[0].fields.get("last_routed_s")
    return Stages(
        detect_s=detect_s,
        isolate_s=None if routed_s is None else max(0.0, float(routed_s) - begin_s),
        restore_s=ready[-1] - begin_s if ready else None,
        verify_s=None if readmitted_s is None else readmitted_s - begin_s,
    )
