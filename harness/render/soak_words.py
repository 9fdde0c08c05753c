"""A projection in words: the rows of its tables, in the units of their names. Formats numbers and computes none."""

from __future__ import annotations

from collections.abc import Iterator

from harness.model.soak_report import DriftResult, ObjectiveResult, SoakReport, TypeResult
from harness.model.verdict import Estimate
from harness.render.numbers import NOTHING, by_name, duration, number, seconds

__all__ = [
    "AGEING_HEAD",
    "TITLES",
    "ageing_rows",
    "described_rows",
    "limit_words",
    "lost_words",
    "met_words",
    "objective_value",
    "overlap_words",
    "share_words",
    "span_words",
    "title_of",
    "type_rate",
]

TITLES = {
    "success_rate": "request success",
    "failures": "failures",
    "downtime_s": "downtime",
    "latency_s_mean": "mean response",
    "concurrency_max": "most requests at once",
}

AGEING_HEAD = ("what", "watched", "each hour", "by time alone", "by a million requests alone", "limit", "time to it")
_UNITS = {"_mb": (" MB", 1.0), "_s_mean": (" ms", 1000.0), "_share": (" points", 100.0)}


def title_of(report: SoakReport) -> str:
    """What it is, never more: a projection."""
    return f"{report.days}-day projection calibrated on {report.trials:,} verified trials"


def objective_value(name: str, value: float | None) -> str:
    """A value in the unit of its objective."""
    if value is None:
        return NOTHING
    if name in ("failures", "concurrency_max"):
        return number(round(value, 1)) if value != round(value) else f"{value:,.0f}"
    return duration(value) if name == "downtime_s" and value >= 60 else by_name(name, value)


def limit_words(row: ObjectiveResult) -> str:
    """At least 99.90 %."""
    parts = [] if row.minimum is None else [f"at least {objective_value(row.name, row.minimum)}"]
    parts += [] if row.maximum is None else [f"at most {objective_value(row.name, row.maximum)}"]
    return ", ".join(parts)


def span_words(name: str, estimate: Estimate) -> str:
    """99.91 % to 99.99 %."""
    if estimate.low is None or estimate.high is None:
        return NOTHING
    low, high = objective_value(name, estimate.low), objective_value(name, estimate.high)
    return low if low == high else f"{low} to {high}"


def share_words(value: float) -> str:
    """26.7 %. Only one is 100 % and only zero is 0 %."""
    text = f"{value * 100:.1f} %"
    if text in ("0.0 %", "100.0 %"):
        return "0 %" if value == 0 else "100 %" if value == 1 else "> 0 %" if value < 0.5 else "< 100 %"
    return text


def met_words(row: ObjectiveResult) -> str:
    """P(met), or what stands in its place where a rate is assumed."""
    if row.p_met is not None:
        return share_words(row.p_met)
    if row.p_met_range is None:
        return "not estimable"
    worst, best = row.p_met_range
    shown = share_words(worst) if worst == best else f"{share_words(worst)} to {share_words(best)}"
    return f"assumed rate: {shown}"


def lost_words(estimate: Estimate) -> str:
    """7.8 (7.2 to 8.5) requests, or that there is no interval."""
    if estimate.value is None:
        return estimate.method
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:,.1f} ({estimate.method})"
    return f"{estimate.value:,.1f} ({estimate.low:,.1f} to {estimate.high:,.1f})"


def type_rate(one: TypeResult) -> str:
    """1.2 per 30 days (0.1 to 4)."""
    rate = one.per_30_days
    assert rate.value is not None and rate.low is not None and rate.high is not None
    return f"{rate.value:.2g} per 30 days ({rate.low:.2g} to {rate.high:.2g})"


def described_rows(report: SoakReport) -> Iterator[tuple[str, str, str]]:
    """Rows below the objectives: name, value, what it rests on."""
    known = report.described
    yield "run time", f"{known['hours_projected']:,} h projected", f"{known['hours_measured']:.3g} h were really run"
    lost = known["lost_to_faults"]
    yield (
        "requests lost to faults",
        f"{lost['median']:,.0f} ({lost['low']:,.0f} to {lost['high']:,.0f})",
        f"of {report.requests_per_month:,.0f} in {report.days} days",
    )
    months = known.get("latency_s_of_months") or {}
    if months:
        spans = [
            f"{seconds(one['median'])} ({seconds(one['low'])} to {seconds(one['high'])})" for one in months.values()
        ]
        yield "response p50, p95, p99 of the month", ", ".join(spans), "of good requests; range of 95 % of the months"
    for where, words in (("fault_free", "without a fault"), ("during_trials", "in the trials")):
        values = [seconds(known[f"latency_s_p{q}_{where}"]) for q in (50, 95, 99)]
        yield f"response p50, p95, p99 {words}", ", ".join(values), "of good requests; as measured, no interval"


def ageing_rows(report: SoakReport) -> Iterator[tuple[str, ...]]:
    """As AGEING_HEAD says."""
    for row in report.ageing:
        name = f"{row.quantity} of {row.source}" + (f", now {_amount(row, row.level)}" if row.level is not None else "")
        watched = f"{row.hours:.2g} h in {row.stretches} stretch{'' if row.stretches == 1 else 'es'}"
        hourly = _slope(row, row.per_hour) + (" (no straight line)" if row.bends else "")
        limit = NOTHING if row.limit is None else _amount(row, row.limit)
        slopes = (hourly, _slope(row, row.per_hour_alone), _slope(row, row.per_million_requests))
        yield name, watched, *slopes, limit, _time(row.hours_to_limit)


def _amount(row: DriftResult, value: float, sign: str = "") -> str:
    unit, scale = next((found for end, found in _UNITS.items() if row.quantity.endswith(end)), ("", 1.0))
    size = abs(value * scale)
    return (
        f"{value * scale:{sign},.{0 if size >= 1000 else 1 if size >= 100 else 3}{'f' if size >= 100 else 'g'}}{unit}"
    )


def _slope(row: DriftResult, estimate: Estimate) -> str:
    """+1.2 MB (-0.3 MB to +2.7 MB), or why there is none."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return estimate.method
    value, low, high = (_amount(row, one, "+") for one in (estimate.value, estimate.low, estimate.high))
    return value if low == high else f"{value} ({low} to {high})"


def _time(estimate: Estimate) -> str:
    """340 h (120 h to 900 h), or why there is none."""
    low = "0 h" if estimate.low is None else f"{estimate.low:,.3g} h"
    if estimate.value is None:
        return estimate.method + (f"; at least {low}" if estimate.low else "")
    high = "no upper bound" if estimate.high is None else f"{estimate.high:,.3g} h"
    return f"{estimate.value:,.3g} h ({low} to {high})"


def overlap_words(report: SoakReport) -> str:
    """What overlapping faults and backlogs add in the worst month; empty: nobody looked."""
    one = report.overlap
    if one is None:
        return ""
    left_out = f"; not simulated: {', '.join(one.left_out)}" if one.left_out else ""
    return (
        f"Request by request, the {one.faults} faults of the worst month lose {one.together:,} requests together and "
        f"{one.alone:,} each alone: the difference is what overlaps and backlogs do. The projection says "
        f"{one.projected:,.0f}. The longest queue of a replica was {one.backlog_max:,}{left_out}."
    )
