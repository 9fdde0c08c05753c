"""The headline numbers again, in ten lines that a reader can run beside the report."""

from __future__ import annotations

__all__ = ["RECOMPUTE"]

RECOMPUTE = """\
import json, pathlib
import pandas as pd

requests = pd.read_parquet("requests.parquet")
plan, verdict = (json.loads(pathlib.Path(name).read_text()) for name in ("plan.json", "verdict.json"))
users = requests[requests.lane == "user"]
eligible = users[~users.outcome.isin(["not_sent", "in_flight_at_end"])]
good = eligible[eligible.outcome == "ok"]
print(users.outcome.value_counts())
print("lost", len(eligible) - len(good), "of", len(eligible), "success rate", len(good) / len(eligible))
baseline_end_s = verdict["run"]["schedule_begin_s"] + plan["scenario"]["phases"]["baseline_s"]
latency_ms = ((good.done_us - good.scheduled_us) / 1000)[good.scheduled_us < baseline_end_s * 1e6].sort_values()
print("baseline latency p99 in ms", latency_ms.iloc[-(-99 * len(latency_ms) // 100) - 1])
"""
