"""The alerts of each episode, as cells of a table and as sentences."""

from __future__ import annotations

from collections.abc import Iterable

from harness.model.verdict import AlertFate, AlertReport, Interval
from harness.render.numbers import NOTHING

__all__ = ["ALERT_COLUMNS", "EPISODES_SHOWN", "alert_cells", "alert_intro"]

ALERT_COLUMNS = ("#", "fired, after the fault's begin", "should have, and did not", "cannot be judged in this run")
EPISODES_SHOWN = 50  # a run may have a thousand; all are in verdict.json
_NOT_JUDGED = ("too_short", "no_window", "blind", "unknown", "already")


def alert_cells(report: AlertReport, shown: int = EPISODES_SHOWN) -> list[tuple[str, ...]]:
    """A row for each episode."""
    return [
        (
            str(one.episode),
            "; ".join(_fired(fate) for fate in one.fates if fate.state == "fired") or NOTHING,
            _by_reason(fate for fate in one.fates if fate.state == "missed"),
            _by_reason(fate for fate in one.fates if fate.state in _NOT_JUDGED),
        )
        for one in report.episodes[:shown]
    ]


def alert_intro(report: AlertReport, shown: int = EPISODES_SHOWN) -> list[str]:
    """What watched the run, and of each episode whether anybody would have been told."""
    left_out = len(report.episodes) - shown
    more = [f"The first {shown} episodes; the other {left_out:,} are in verdict.json."] if left_out > 0 else []
    return [report.note, *(f"Episode {one.episode}: {one.noticed}." for one in report.episodes[:shown]), *more]


def _fired(fate: AlertFate) -> str:
    level = f" ({fate.severity})" if fate.severity else ""
    theory = f", {fate.earliest_s:g} s at the earliest" if fate.earliest_s else ""
    note = f" ({fate.words})" if fate.words else ""
    return f"{fate.alert}{level}: {_span(fate.after_s)}{theory}{note}"


def _span(after_s: Interval | None) -> str:
    if after_s is None or after_s.high is None:
        return NOTHING
    return f"{after_s.low:.1f} to {after_s.high:.1f} s"


def _by_reason(fates: Iterable[AlertFate]) -> str:
    """Alerts with the same to be said of them together."""
    alike: dict[str, list[str]] = {}
    for fate in fates:
        needs = f" ({fate.earliest_s:g} s)" if fate.state == "too_short" else ""
        alike.setdefault(fate.words, []).append(f"{fate.alert}{needs}")
    return "; ".join(f"{', '.join(names)}: {words}" for words, names in alike.items()) or NOTHING
