"""Whether the service has become worse over the nights: as one finding for the report and the exit code."""

from __future__ import annotations

from collections.abc import Sequence

from harness.model.soak_trials import Night
from harness.model.verdict import Finding, VerdictOutcome
from harness.soak.changes import NIGHTS_MIN, Change, Summary, compare_nights
from harness.soak.series import night_values

__all__ = ["regression_findings"]

TITLE = "no series has become worse over the nights"
WORSE_DOWN = "success_rate"  # of all other series, more is worse


def regression_findings(nights: Sequence[Night], seed: int) -> tuple[Finding, ...]:
    """At most one finding: fail when the last change of any series was for the worse; none before NIGHTS_MIN nights,
    or when no series has values to compare.

    Nights count that can be compared with the last one (same configuration, host and stack, whatever the build) and
    whose run can be trusted. Real time has its own load and few faults: its legs are no nights.
    """
    compressed = [night for night in nights if not night.real_time]
    mine = [night for night in compressed if night.trusted and _like(night, compressed[-1])]
    if len(mine) < NIGHTS_MIN:
        return ()
    found = compare_nights([Summary(one.wall_begin, one.build, night_values(one)) for one in mine], seed)
    if not found.series:
        return ()  # nothing could be compared, so nothing is claimed
    last = {change.series: change for change in found.changes}  # they come in the order of the nights
    worse = [change for change in last.values() if _is_worse(change)]
    evidence = {
        "nights": len(mine),
        "series": found.series,
        "false_discovery_rate": found.false_discovery_rate,
        "changes": [_words(change) for change in found.changes],
        "not_asked": dict(found.not_asked),
    }
    if worse:
        return (Finding("nights", TITLE, VerdictOutcome.FAIL, "; ".join(_words(one) for one in worse), evidence),)
    other = "; ".join(_words(one) for one in last.values())
    good = f"in {found.series} series over {len(mine)} nights" + (f"; better: {other}" if other else "")
    return (Finding("nights", TITLE, VerdictOutcome.PASS, good, evidence),)


def _like(night: Night, last: Night) -> bool:
    return (night.configuration, night.host, night.stack) == (last.configuration, last.host, last.stack)


def _is_worse(change: Change) -> bool:
    return (change.direction == "down") == change.series.endswith(WORSE_DOWN)


def _words(change: Change) -> str:
    size = change.size
    known = size.low is not None and size.high is not None
    interval = f", {size.confidence:.0%} {size.low:+.4g} to {size.high:+.4g}" if known else ""
    since = f"since {change.began_at[:16]} (build {change.build})"
    return f"{change.series} went {change.direction} from {change.before:.4g} to {change.after:.4g} {since}{interval}"
