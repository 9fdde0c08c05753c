"""Outages of all replicas as the kernel reads them: apart from each other, in order, and as the gateway sees them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harness.soak.simulator.inputs import Outage, Service, check_outages
from harness.soak.simulator.kernel import CRASH, HANG

__all__ = ["FaultArrays", "fault_arrays"]

FaultArrays = dict[str, npt.NDArray[np.float64] | npt.NDArray[np.int64]]
_Piece = tuple[float, float, int]


def fault_arrays(outages: Sequence[Outage], service: Service) -> FaultArrays:
    """The columns of `arrays.Faults`."""
    check_outages(outages, service.replicas)
    down: list[_Piece] = []
    away: list[_Piece] = []
    down_first, away_first = [0], [0]
    for replica in range(service.replicas):
        pieces = apart([one for one in outages if one.replica == replica])
        down += pieces
        away += _seen(pieces, service.detect_s, service.readmit_s)
        down_first.append(len(down))
        away_first.append(len(away))
    return {
        "down_first": np.array(down_first, np.int64),
        "down_begin_s": np.array([one[0] for one in down], np.float64),
        "down_end_s": np.array([one[1] for one in down], np.float64),
        "down_kind": np.array([one[2] for one in down], np.int64),
        "away_first": np.array(away_first, np.int64),
        "away_begin_s": np.array([one[0] for one in away], np.float64),
        "away_end_s": np.array([one[1] for one in away], np.float64),
    }


def apart(outages: Sequence[Outage]) -> list[_Piece]:
    """One replica's outages without overlaps: crashed where any is a crash, hanging where only hangs are."""
    crashes = _union([(one.begin_s, one.end_s) for one in outages if one.kind == "crash"])
    hangs = _union([(one.begin_s, one.end_s) for one in outages if one.kind == "hang"])
    pieces = [(begin, end, CRASH) for begin, end in crashes]
    for begin, end in hangs:
        at = begin
        for crash_begin, crash_end in crashes:
            if crash_end <= at or crash_begin >= end:
                continue
            if crash_begin > at:
                pieces.append((at, crash_begin, HANG))
            at = crash_end
        if at < end:
            pieces.append((at, end, HANG))
    return sorted(pieces)


def _seen(pieces: Sequence[_Piece], detect_s: float, readmit_s: float) -> list[_Piece]:
    """When the gateway believes a replica to be down; outages that touch are one to it."""
    together = _union([(begin, end) for begin, end, _ in pieces])
    late = [(begin + detect_s, end + readmit_s) for begin, end in together if end > begin + detect_s]
    return [(begin, end, HANG) for begin, end in _union(late)]


def _union(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    joined: list[tuple[float, float]] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined
