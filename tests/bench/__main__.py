"""`python -m tests.bench [--only name,name]`: measure, print a table, merge into reports/bench.json.

Exit code 1 when a goal is not met; a figure that cannot be measured does not meet its goal.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench.figure import Figure
from tests.bench.stamp import stamp

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "reports" / "bench.json"
MEASURED_BY = {  # name for --only -> module with GOALS and figures(), in the order in which they are run
    "open_loop": "open_loop_figure",
    "outage_honesty": "outage_honesty",
    "recovery_interval": "recovery_interval",
    "judging": "judging",
    "simulator": "simulator",
    "index": "index_of_runs",
    "overhead": "overhead",
    "request_bytes": "request_bytes",
    "gateway_latency": "gateway_latency",
    "toxics_requests": "toxics_requests",
    "toxics_bulk": "toxics_bulk",
    "toxics_delay": "toxics_delay",
    "toxics_connections": "toxics_connections",
    "replica_throughput": "replica_throughput",
    "replica_overload": "replica_overload",
    "partition_latency": "partition_latency",
    "start_to_ready": "start_to_ready",
    "vanished_clients": "vanished_clients",
    "container_overhead": "container_overhead",
    "container_idle": "container_idle",
    "soak_intervals": "soak_intervals",
    "soak_months": "soak_months",
    "plugin_load": "plugin_load",
}
ON_REQUEST = {  # each takes minutes to hours, and the default set no more than 20 minutes: named by --only, or not run
    "alert_detection": "alert_detection",
    "container_takeover": "container_takeover",
    "log_marks": "log_marks",
    "same_seed": "same_seed",
    "fast_subset": "fast_subset",
    "container_kills": "container_kill_points",
    "container_catalogue": "container_catalogue",
    "local_pairs": "local_pairs",
    "soak_trials": "soak_trials",
    "soak_run": "soak_run",
    "fault_free": "fault_free",
}


def main(arguments: Sequence[str]) -> int:
    chosen = _chosen(arguments)
    # As Ctrl-C: what a figure has started is ended with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    figures: list[Figure] = []
    for name in chosen:
        _say(f"{name} …")
        begin_s = time.monotonic()
        figures += measure((MEASURED_BY | ON_REQUEST)[name])
        load = ", ".join(f"{average:.2f}" for average in os.getloadavg())
        _say(f"{name}: {time.monotonic() - begin_s:.0f} s; load average {load}")
        merge(RESULTS, figures)
    print(table(figures))
    return 0 if all(figure.met for figure in figures) else 1


def measure(module: str) -> list[Figure]:
    """The module's figures; its goals, not measured, when it fails."""
    found = importlib.import_module(f"tests.bench.{module}")
    try:
        figures: list[Figure] = found.figures()
    except Exception:  # noqa: BLE001  whatever it is, the others are measured
        traceback.print_exc()
        return [goal.not_measured() for goal in found.GOALS]
    return figures


def merge(path: Path, figures: Sequence[Figure]) -> None:
    """Replace what was measured anew and keep the rest; a reader sees the old file or the new one."""
    entries: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    by_name = {entry["name"]: entry for entry in entries}
    by_name |= {figure.name: asdict(figure) | stamp() for figure in figures}
    path.parent.mkdir(exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(list(by_name.values()), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, path)


def table(figures: Sequence[Figure]) -> str:
    rows = [("name", "value", "unit", "goal", "met", "spread")]
    for one in figures:
        value = "not measured" if one.value is None else f"{one.value:g}"
        rows.append((one.name, value, one.unit, one.goal, "yes" if one.met else "NO", one.spread or ""))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _chosen(arguments: Sequence[str]) -> list[str]:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--only",
        default=",".join(MEASURED_BY),
        help=f"names, with commas between; only so: {', '.join(ON_REQUEST)} (minutes to hours each)",
    )
    names = parser.parse_args(arguments).only.split(",")
    known = MEASURED_BY | ON_REQUEST
    unknown = sorted(set(names) - set(known))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    return [name for name in known if name in names]


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
