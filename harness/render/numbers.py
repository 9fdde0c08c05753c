"""How numbers are shown. Nothing is computed here: a number is rounded for the eye, never toward good news."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

from harness.model.verdict import Estimate, Interval

__all__ = [
    "NOTHING", "by_name", "clock", "count", "duration", "estimate_interval", "estimate_value", "interval",
    "milliseconds", "number", "percent", "plain", "seconds",
]  # fmt: skip

NOTHING = "–"
_LONGEST_LIST = 40


def count(value: int | None) -> str:
    """13214 -> 13,214."""
    return NOTHING if value is None else f"{value:,}"


def percent(value: float | None) -> str:
    """0.9995 -> 99.95 %. Only one is 100 % and only zero is 0 %: digits are added until it is so."""
    if value is None:
        return NOTHING
    if value in (0, 1):
        return f"{value * 100:.0f} %"
    for digits in range(2, 9):
        text = f"{value * 100:.{digits}f}"
        if float(text) not in (0, 100):
            return f"{text} %"
    return "< 100 %" if value > 0.5 else "> 0 %"


def seconds(value: float | None) -> str:
    """3.1 s, 0.35 s, 4 ms, 1,234 s."""
    if value is None:
        return NOTHING
    if value != 0 and abs(value) < 0.0995:
        return milliseconds(value * 1000)
    return f"{value:,.{_digits(value)}f} s"


def milliseconds(value: float | None) -> str:
    """0.42 ms, 4.2 ms, 812 ms, 12.3 s."""
    if value is None:
        return NOTHING
    size = abs(value)
    if size >= 9_999.5:
        return f"{value / 1000:,.1f} s"
    return f"{value:,.{0 if size >= 9.95 or size == 0 else 1 if size >= 0.95 else 2}f} ms"


def interval(value: Interval | None, nothing: str = NOTHING) -> str:
    """3.1–3.2 s; ≥ 12.0 s (not recovered by the end) when there is no upper bound."""
    if value is None:
        return nothing
    if value.high is None:
        return f"≥ {seconds(value.low)} (not recovered by the end)"
    if value.low == value.high:
        return seconds(value.low)
    for digits in range(_digits(value.high), 4):
        low, high = f"{value.low:,.{digits}f}", f"{value.high:,.{digits}f}"
        if low != high:
            return f"{low}–{high} s"
    return seconds(value.high)


def duration(value: float | None) -> str:
    """45 s, 11 min 3 s, 2 h 5 min, 30 days."""
    if value is None:
        return NOTHING
    if value < 60:
        return f"{value:.3g} s"
    for size, unit, small, small_unit in ((86_400, "days", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if value >= size:
            whole, rest = divmod(round(value / small), size // small)
            return f"{whole:,} {unit}" + (f" {rest} {small_unit}" if rest else "")
    raise AssertionError(value)


def clock(value: float, span: float) -> str:
    """A moment on a time axis that is `span` seconds long: 90 s, 4:30, 2 h, day 3."""
    if span <= 180:
        return f"{value:g} s"
    if span <= 2 * 3_600:
        return f"{int(value) // 60}:{int(value) % 60:02d}"
    if span <= 3 * 86_400:
        return f"{int(value) // 3_600}:{int(value) % 3_600 // 60:02d} h"
    return f"day {value / 86_400:g}"


def number(value: float) -> str:
    """Any number without a unit: a whole one as it is, another to six significant digits."""
    if isinstance(value, int):
        return str(value)  # it may be the number of a request: it must be found again as it is
    whole = math.isfinite(value) and value == math.floor(value) and abs(value) < 1e15
    return f"{value:,.0f}" if whole else f"{value:,.6g}"


def by_name(name: str, value: Any) -> str:
    """A value in the unit that its name says: latency_ms_p99, success_rate, recovery_s_p50, rate_per_s."""
    if isinstance(value, Mapping):
        if set(value) == {"low", "high"}:
            return f"{by_name(name, value['low'])} to {by_name(name, value['high'])}"
        return ", ".join(f"{key.replace('_', ' ')} {by_name(key, item)}" for key, item in value.items()) or NOTHING
    if not isinstance(value, int | float) or isinstance(value, bool):
        return plain(value)
    if "_ms" in name:
        return milliseconds(value)
    if "per_s" in name:
        return f"{number(value)} per s"
    if "rate" in name or "availability" in name or name.endswith(("share", "fraction", "objective")):
        return percent(value)
    is_time = name.endswith("_s") or "_s_" in name
    return seconds(value) if is_time else count(value) if isinstance(value, int) else number(value)


def estimate_value(name: str, estimate: Estimate) -> str:
    """The value of an estimate in the unit that its name ends with."""
    return "not estimable" if estimate.value is None else by_name(name, estimate.value)


def estimate_interval(name: str, estimate: Estimate) -> str:
    """The interval of an estimate, open where there is no bound."""
    if estimate.low is None and estimate.high is None:
        return NOTHING
    if estimate.high is None:
        return f"≥ {by_name(name, estimate.low)}"
    if estimate.low is None:
        return f"≤ {by_name(name, estimate.high)}"
    return f"{by_name(name, estimate.low)} to {by_name(name, estimate.high)}"


def plain(value: Any) -> str:
    """A value of evidence, whatever it is."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {plain(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else list(value)
        shown = ", ".join(
            f"({plain(i)})" if isinstance(i, Mapping | list | tuple) else plain(i) for i in items[:_LONGEST_LIST]
        )
        more = len(items) - _LONGEST_LIST
        return (f"{shown} … and {more:,} more" if more > 0 else shown) or "none"
    return str(value)


def _digits(value: float) -> int:
    size = abs(value)
    return 0 if size >= 99.95 else 1 if size >= 0.995 or size == 0 else 2
