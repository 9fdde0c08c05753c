"""What a Prometheus beside a run saw, as a file of the run: a line about all, then a line for each series."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.monitor.series import Series

__all__ = ["METRICS", "Kept", "read_metrics", "write_metrics"]

METRICS = "metrics.jsonl"


@dataclass(frozen=True)
class Kept:
    """`series`: times in seconds of the run. `missing`: quantity -> why there is nothing of it."""

    every_s: float
    series: tuple[Series, ...]
    missing: Mapping[str, str] = field(default_factory=dict)
    damaged: int = 0  # lines that could not be read, and were left out
    alerts: Mapping[str, Any] | None = None  # its rules, as `harness.monitor.alerts` has them; None: not kept
    clock_moved_s: float = 0.0  # the wall clock of the host against its monotonic one


def write_metrics(path: Path, head: Mapping[str, object], series: Sequence[Series]) -> None:
    """Replace the file as a whole; null where there was no number."""
    lines = [dict(head), *(_line(one) for one in series)]
    part = path.with_name(f".{path.name}.part")
    part.write_text("".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in lines), encoding="utf-8")
    os.replace(part, path)


def read_metrics(path: Path) -> Kept | None:
    """None: there is no such file, or its first line cannot be read, so that nothing is known."""
    try:
        first, *rest = path.read_text(encoding="utf-8", errors="replace").splitlines()
        head = json.loads(first)
        every_s, missing = float(head["every_s"]), dict(head.get("missing") or {})
        moved_s = float(head.get("wall_clock_moved_s") or 0.0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    found: list[Series] = []
    for line in rest:
        try:
            found.append(_series(json.loads(line)))
        except (ValueError, KeyError, TypeError):
            continue
    rules = head.get("alerts")
    return Kept(
        every_s, tuple(found), missing, len(rest) - len(found), rules if isinstance(rules, dict) else None, moved_s
    )


def _line(series: Series) -> dict[str, object]:
    return {
        "name": series.name,
        "labels": dict(series.labels),
        "at_s": [round(at, 3) for at in series.at_s],
        "value": [value if math.isfinite(value) else None for value in series.value],
    }


def _series(row: Mapping[str, Any]) -> Series:
    at_s = tuple(float(at) for at in row["at_s"])
    value = tuple(math.nan if number is None else float(number) for number in row["value"])
    if len(at_s) != len(value):
        raise ValueError(row["name"])
    return Series(str(row["name"]), {str(k): str(v) for k, v in row["labels"].items()}, at_s, value)
