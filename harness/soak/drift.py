"""Ageing over the nights that may be pooled and the legs of real time: a row for each quantity, and one finding."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from harness.model.soak import SoakFile
from harness.model.soak_report import DriftResult
from harness.model.soak_trials import DriftSeries, Night, Stretch
from harness.model.verdict import Estimate, Finding, VerdictOutcome
from harness.soak.ageing import TimeToLimit, ageing, time_to_limit
from harness.soak.low_frequency import Samples

__all__ = ["ageing_finding", "drift_results", "longest_stretch_h", "nights_that_age"]

CONFIDENCE = 0.95
FINDING_CONFIDENCE = 0.95  # of all limits together (Bonferroni)
Pieces = list[tuple[Stretch, DriftSeries]]


def nights_that_age(pooled: Sequence[Night], nights: Sequence[Night]) -> tuple[Night, ...]:
    """Those whose stretches belong together: what was pooled, and real time of the same pool, in order."""
    pools = {night.pool for night in pooled}
    return tuple(
        night
        for night in nights
        if night.trusted and (night in pooled or (night.real_time and (night.pool in pools or not pools)))
    )


def longest_stretch_h(nights: Sequence[Night]) -> float:
    """The longest time that was watched without a fault; 0: none."""
    return max((_hours(one) for night in nights for one in night.stretches), default=0.0)


def drift_results(soak: SoakFile, nights: Sequence[Night], confidence: float = CONFIDENCE) -> tuple[DriftResult, ...]:
    """One row for each source and quantity, by name; those of users first."""
    pieces: dict[tuple[str, str], Pieces] = {}
    for night in nights:
        for stretch in night.stretches:
            for one in stretch.series:
                pieces.setdefault((one.source, one.quantity), []).append((stretch, one))
    order = sorted(pieces, key=lambda key: (key[0] != "users", key))
    return tuple(_result(soak, key, pieces[key], confidence)[0] for key in order)


def ageing_finding(soak: SoakFile, nights: Sequence[Night], rows: Sequence[DriftResult]) -> Iterator[Finding]:
    """Inconclusive when something is known to meet its limit within the days; nothing when nothing was watched."""
    limited = [row for row in rows if row.limit is not None]
    if not limited:
        return
    confidence = 1 - (1 - FINDING_CONFIDENCE) / len(limited)
    hours = soak.days * 24
    soon, known = [], 0
    for row in limited:
        pieces = [
            (stretch, one)
            for night in nights
            for stretch in night.stretches
            for one in stretch.series
            if (one.source, one.quantity) == (row.source, row.quantity)
        ]
        _, found = _result(soak, (row.source, row.quantity), pieces, confidence)
        assert found is not None
        known += not found.method.startswith("not estimable")
        if found.high_h is not None and found.low_h is not None and found.high_h < hours:
            soon.append(f"{row.quantity} of {row.source} in {found.low_h:,.3g} to {found.high_h:,.3g} h")
    title = f"nothing is known to run into a limit within {hours:,} h of running on"
    evidence = {"limits": len(limited), "told": known, "confidence": round(confidence, 5)}
    if soon:
        reason = f"the month would need restarts that the projection does not have: {'; '.join(soon)}"
        yield Finding("ageing", title, VerdictOutcome.INCONCLUSIVE, reason, evidence)
        return
    unknown = len(limited) - known
    reason = f"of {len(limited)} quantities with a limit none does" + (
        f", and of {unknown} nobody can tell: see below" if unknown else ""
    )
    yield Finding("ageing", title, VerdictOutcome.PASS, reason, evidence)


def _result(
    soak: SoakFile, key: tuple[str, str], pieces: Pieces, confidence: float
) -> tuple[DriftResult, TimeToLimit | None]:
    source, quantity = key
    stretches = [samples for stretch, one in pieces if (samples := _samples(stretch, one)) is not None]
    found = ageing(stretches, confidence)
    limit = _limit(soak, key, pieces[-1][1])
    reached = None if limit is None else time_to_limit(stretches, limit, "max", confidence)
    last = stretches[-1] if stretches else None
    return DriftResult(
        source=source,
        quantity=quantity,
        stretches=len(stretches),
        hours=sum(one.hours for one in stretches),
        level=None if last is None else float(np.mean(last.value)),
        per_hour=found.per_hour,
        per_hour_alone=found.per_hour_alone,
        per_million_requests=found.per_million_requests,
        bends=found.bends,
        limit=limit,
        hours_to_limit=_time(reached, confidence, found.per_hour.n),
    ), reached


def _limit(soak: SoakFile, key: tuple[str, str], last: DriftSeries) -> float | None:
    """What the file allows, for what users see; else what the sampler found."""
    if key == ("users", "latency_s_mean"):
        claim = soak.objectives.get("latency_s_mean")
        return None if claim is None else claim.max
    return last.limit


def _samples(stretch: Stretch, one: DriftSeries) -> Samples | None:
    """None: fewer than two blocks have a value."""
    there = [place for place, value in enumerate(one.values) if value is not None]
    if len(there) < 2:
        return None
    values = np.array([one.values[place] for place in there], np.float64)
    time_s = stretch.begin_s + stretch.block_s * (np.array(there) + 0.5)
    return Samples(time_s, values, np.array([stretch.requests[place] for place in there], np.float64))


def _time(found: TimeToLimit | None, confidence: float, n: int) -> Estimate:
    """As an estimate, which knows no infinity."""
    if found is None:
        return Estimate(None, None, None, confidence, "no limit is known", n)
    low_h = None if found.low_h is None or math.isinf(found.low_h) else found.low_h
    return Estimate(found.hours, low_h, found.high_h, found.confidence, found.method, n)


def _hours(stretch: Stretch) -> float:
    return stretch.block_s * len(stretch.requests) / 3600
