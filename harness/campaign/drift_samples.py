"""What was sampled beside a run -> series that may drift, and why there is none of what could."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from harness.campaign.use_watch import PROMETHEUS, USE
from harness.monitor.kept import METRICS, Kept, read_metrics
from harness.monitor.series import Series
from harness.record.append import read_lines
from harness.soak.stretches import Sampled

__all__ = ["sampled_in"]

MIB = 2**20
# Processes of a run that are not the target's, by the names of their modules.
INSTRUMENT = {"harness", "child", "echo", "guard", "strangers", "supervisord", "restart_budget", "recovery_script"}
INSTRUMENT |= {"toxics", PROMETHEUS}
CACHE = ("cache_hits_total", "cache_lookups_total")


def sampled_in(stack_folder: Path) -> tuple[tuple[Sampled, ...], tuple[str, ...]]:
    """Series of every process that was looked at, and sentences on what was not."""
    missing: list[str] = []
    own = tuple(_of_processes(_lines(stack_folder / USE)))
    kept = read_metrics(stack_folder / METRICS)
    told = () if kept is None else tuple(_of_metrics(kept, {one.source for one in own}))
    if not {one.source for one in (*own, *told) if one.quantity == "resident_mb"} - INSTRUMENT:
        missing.append("memory and descriptors of the target: this process started none of its own, as in containers")
    if kept is None:
        missing.append("cache: there was no Prometheus beside the run")
    elif not any(one.quantity == "cache_hit_share" for one in told):
        missing.append("cache: nobody looked anything up in one, or the target has none")
    return (*own, *told), tuple(missing)


def _lines(path: Path) -> list[dict[str, Any]]:
    """In the order of time; torn lines are left out."""
    if not path.exists():
        return []
    return [line for _, line in read_lines(path) if isinstance(line, dict) and "at_s" in line and "processes" in line]


def _of_processes(lines: Sequence[dict[str, Any]]) -> Iterator[Sampled]:
    seen: defaultdict[str, list[tuple[float, Any]]] = defaultdict(list)
    for line in lines:
        for name, use in line["processes"].items():
            seen[name].append((float(line["at_s"]), use))
    for name, looks in sorted(seen.items()):
        at_s = np.array([at for at, _ in looks])
        breaks_s = tuple(later for (_, one), (later, other) in pairwise(looks) if one[0] != other[0])
        resident, fds = (np.array([float(use[place]) for _, use in looks]) for place in (1, 2))
        room_mb = float(resident[-1]) + float(lines[-1]["available_mb"])
        yield Sampled(name, "resident_mb", at_s, resident, room_mb, breaks_s=breaks_s)
        limit = looks[-1][1][3]
        yield Sampled(name, "open_fds", at_s, fds, None if limit is None else float(limit), breaks_s=breaks_s)
    if lines:
        at_s = np.array([float(line["at_s"]) for line in lines])
        disk = np.array([float(line["target_disk_mb"]) for line in lines])
        yield Sampled("target", "disk_mb", at_s, disk, float(disk[-1]) + float(lines[-1]["free_mb"]))


def _of_metrics(kept: Kept, known: set[str]) -> Iterator[Sampled]:
    """Of servers that no look reached, their memory and descriptors; of every server, its cache."""
    of: defaultdict[str, dict[str, Series]] = defaultdict(dict)
    for series in kept.series:
        of[series.labels.get("instance", "")][series.name] = series
    for name, mine in sorted(of.items()):
        breaks_s = _restarts(mine)
        if name not in known:
            yield from _plain(name, mine, breaks_s)
        if "kv_usage" in mine:
            yield Sampled(name, "kv_usage_share", *_columns(mine["kv_usage"]), 1.0, breaks_s=breaks_s)
        if all(one in mine for one in CACHE):
            hits, lookups = (mine[one] for one in CACHE)
            values = dict(zip(lookups.at_s, lookups.value, strict=True))
            both = [(at, hit, values[at]) for at, hit in zip(hits.at_s, hits.value, strict=True) if at in values]
            if both and both[-1][2] > 0:
                at_s, hit, looked_up = (np.array(column, np.float64) for column in zip(*both, strict=True))
                yield Sampled(name, "cache_hit_share", at_s, hit, per=looked_up, breaks_s=breaks_s)


def _plain(name: str, mine: Mapping[str, Series], breaks_s: tuple[float, ...]) -> Iterator[Sampled]:
    if "resident_bytes" in mine:
        at_s, value = _columns(mine["resident_bytes"])
        limit = mine.get("cgroup_limit_bytes", Series("")).value[-1:]
        yield Sampled(name, "resident_mb", at_s, value / MIB, limit[0] / MIB if limit else None, breaks_s=breaks_s)
    if "open_fds" in mine:
        yield Sampled(name, "open_fds", *_columns(mine["open_fds"]), breaks_s=breaks_s)


def _columns(series: Series) -> tuple[np.ndarray[Any, np.dtype[np.float64]], np.ndarray[Any, np.dtype[np.float64]]]:
    return np.array(series.at_s, np.float64), np.array(series.value, np.float64)


def _restarts(mine: Mapping[str, Series]) -> tuple[float, ...]:
    """When a counter that only grows fell."""
    counter = mine.get("cpu_s_total", Series(""))
    points = list(zip(counter.at_s, counter.value, strict=True))
    return tuple(later for (_, one), (later, other) in pairwise(points) if other < one)
