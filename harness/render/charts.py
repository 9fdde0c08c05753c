"""All charts of a report, each for a desk and for a phone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib

from harness.model.verdict import EpisodeResult, Verdict
from harness.render.plain_charts import budget_chart, distribution_chart
from harness.render.recovery import recovery_chart, recovery_height
from harness.render.svg import Canvas
from harness.render.timeline import HEIGHT_WIDE, latency_chart, requests_chart
from harness.render.words import worst_first

__all__ = ["EPISODES_SHOWN", "Charts", "draw"]

EPISODES_SHOWN = 12
_WIDTHS = (1032, 350)
_HALF_WIDTHS = (482, 350)  # two beside each other on a desk


@dataclass(frozen=True)
class Charts:
    """Inline SVG; empty where there is nothing to draw."""

    recovery: str  # of the worst episode
    others: str  # of the next worst
    requests: str
    latency: str
    distribution: str  # of the latency, by phase
    budget: str  # of errors, used over the run


def draw(verdict: Verdict) -> Charts:
    """Draw every chart of the report, with the library's own defaults whatever this machine's settings are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        return _draw(verdict)


def _draw(verdict: Verdict) -> Charts:
    shown = worst_first(verdict.episodes)[:EPISODES_SHOWN]
    timed = bool(verdict.series.get("t_s"))
    return Charts(
        recovery=_recoveries("recovery", shown[:1]),
        others=_recoveries("others", shown[1:]),
        requests=_both("requests", lambda canvas: requests_chart(verdict, canvas)) if timed else "",
        latency=_both("latency", lambda canvas: latency_chart(verdict, canvas)) if timed else "",
        distribution="".join(distribution_chart(verdict, width) for width in _HALF_WIDTHS),
        budget="".join(budget_chart(verdict, width) for width in _HALF_WIDTHS),
    )


def _recoveries(name: str, episodes: Sequence[EpisodeResult]) -> str:
    return _both(name, lambda canvas: recovery_chart(episodes, canvas), len(episodes)) if episodes else ""


def _both(name: str, chart: Callable[[Canvas], str], rows: int | None = None) -> str:
    drawn = []
    for width in _WIDTHS:
        wide = width > 600
        height = (HEIGHT_WIDE if wide else 240) if rows is None else recovery_height(rows, wide=wide)
        drawn.append(chart(Canvas(f"{name}-{'wide' if wide else 'narrow'}", width, height)))
    return "".join(drawn)
