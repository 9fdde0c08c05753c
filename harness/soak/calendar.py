"""Single months day by day, and the error budget's course over all of them."""

from __future__ import annotations

import numpy as np

from harness.analysis.frame import Floats
from harness.model.soak_report import Calendar, Fan
from harness.soak.months import DAY_S, Months, evaluate

__all__ = ["burn_down", "calendars"]

_FAN = (0.025, 0.25, 0.5, 0.75, 0.975)


def calendars(months: Months) -> tuple[Calendar, ...]:
    """The month with the median success rate, and the worst one."""
    success = evaluate(months)["success_rate"]
    order = np.argsort(success, kind="stable")
    typical, worst = int(order[months.size // 2]), int(order[0])
    return (
        _calendar(months, typical, "a typical month (the median)", float(success[typical])),
        _calendar(months, worst, f"the worst of {months.size:,} months", float(success[worst])),
    )


def _calendar(months: Months, month: int, label: str, success: float) -> Calendar:
    lost = np.full(months.days, float(months.lost_share[month]) * DAY_S * months.rate_per_s)
    names: list[list[str]] = [[] for _ in range(months.days)]
    failures = 0
    for name, faults in months.faults.items():
        mine = np.flatnonzero((faults.month == month) & (faults.chance < months.shares[name]))
        for index in mine:
            day = min(months.days - 1, int(faults.at_day[index]))
            lost[day] += float(faults.cost_s[index] * faults.load[index]) * months.rate_per_s
            names[day].append(name)
        failures += int(faults.incident[mine].sum())
    shown = tuple(int(value) for value in np.round(lost))
    return Calendar(label, success, failures, shown, tuple(tuple(sorted(day)) for day in names))


def burn_down(months: Months, slo: float) -> Fan:
    """Quantiles over months of the share of the error budget that is left at each day's end."""
    lost: Floats = np.repeat(months.lost_share[:, None] * DAY_S, months.days, axis=1)
    for name, faults in months.faults.items():
        happens = faults.chance < months.shares[name]
        day = np.minimum(months.days - 1, faults.at_day[happens].astype(np.int64))
        cell = faults.month[happens] * months.days + day
        costs = (faults.cost_s * faults.load)[happens]
        lost += np.bincount(cell, costs, minlength=lost.size).reshape(lost.shape)
    left = 1 - np.cumsum(lost, axis=1) / ((1 - slo) * months.days * DAY_S)
    found = np.quantile(left, _FAN, axis=0)
    return Fan({f"{q:g}": tuple(round(float(v), 6) for v in row) for q, row in zip(_FAN, found, strict=True)})
