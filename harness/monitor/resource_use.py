"""What each server used while load was observed, from a Prometheus' samples. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from harness.model.verdict import ResourceUse
from harness.monitor.series import Series, gaps, increase

__all__ = ["resource_use"]

MIB = 2**20


def resource_use(
    series: Sequence[Series], every_s: float, span_s: tuple[float, float], baseline_end_s: float
) -> tuple[ResourceUse, ...]:
    """One row for each instance that was ever to be scraped. Times in seconds of the run; None: it told nothing.

    `span_s`: from begin to end of the schedule; what was sampled outside of it is left out. Processor time is counted
    over restarts (`increase`), so with restarts it is a lower bound.
    """
    begin_s, end_s = span_s
    of: dict[str, dict[str, Series]] = {}
    for one in series:
        of.setdefault(one.labels.get("instance", ""), {})[one.name] = _within(one, begin_s, end_s)
    return tuple(_row(name, of[name], every_s, (begin_s, end_s, baseline_end_s)) for name in sorted(of) if name)


def _row(name: str, of: Mapping[str, Series], every_s: float, times: tuple[float, float, float]) -> ResourceUse:
    begin_s, end_s, baseline_end_s = times
    up = of.get("up", Series("up"))
    seen = Series("up", {}, *_zipped((at, v) for at, v in zip(up.at_s, up.value, strict=True) if v == 1))
    memory, engine = of.get("resident_bytes", Series("")), of.get("engine_resident_bytes", Series(""))
    before, engine_before = (_numbers(_within(one, begin_s, baseline_end_s)) for one in (memory, engine))
    cpu = increase(of["cpu_s_total"]) if "cpu_s_total" in of else None
    cpu_span_s = _span_s(of.get("cpu_s_total", Series("")))
    return ResourceUse(
        source=name,
        resident_mb_baseline=statistics.median(before) / MIB if before else None,
        resident_mb_max=_scaled(_max(memory), MIB),
        cpu_cores_mean=cpu[0] / cpu_span_s if cpu and cpu_span_s else None,
        open_fds_max=_max(of.get("open_fds", Series(""))),
        running_max=_max(of.get("running", Series(""))),
        waiting_max=_max(of.get("waiting", Series(""))),
        unseen_s=sum(until - since for since, until in gaps(seen, every_s, begin_s, end_s)),
        engine_mb_baseline=statistics.median(engine_before) / MIB if engine_before else None,
        engine_mb_max=_scaled(_max(engine), MIB),
    )


def _within(series: Series, begin_s: float, end_s: float) -> Series:
    kept = ((at, v) for at, v in zip(series.at_s, series.value, strict=True) if begin_s <= at <= end_s)
    return Series(series.name, series.labels, *_zipped(kept))


def _zipped(points: Iterable[tuple[float, float]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    listed = list(points)
    return tuple(at for at, _ in listed), tuple(value for _, value in listed)


def _numbers(series: Series) -> list[float]:
    return [value for value in series.value if not math.isnan(value)]


def _max(series: Series) -> float | None:
    return max(_numbers(series), default=None)


def _scaled(value: float | None, by: float) -> float | None:
    return None if value is None else value / by


def _span_s(series: Series) -> float:
    return series.at_s[-1] - series.at_s[0] if series.at_s else 0.0
