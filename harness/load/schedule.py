"""What a spec's schedules imply."""

from __future__ import annotations

from harness.load.spec import LoadSpec

__all__ = ["peak_in_flight"]

_SPARE = 64


def peak_in_flight(spec: LoadSpec) -> int:
    """Connections that suffice when nothing answers, doubled: a smaller pool would silently close the loop."""
    span_us = round(spec.deadline_s * 1e6)
    return 2 * sum(_most_within(lane.scheduled_us, span_us) for lane in spec.lanes.values()) + _SPARE


def _most_within(times_us: list[int], span_us: int) -> int:
    """The largest number of (sorted) times in any stretch of `span_us`."""
    most = first = 0
    for last, time_us in enumerate(times_us):
        while times_us[first] < time_us - span_us:
            first += 1
        most = max(most, last - first + 1)
    return most
