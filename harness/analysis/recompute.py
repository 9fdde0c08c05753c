"""The headline numbers again, in ten lines that a reader can run beside the report."""

from __future__ import annotations

__all__ = ["RECOMPUTE"]

RECOMPUTE = """\
import json
import pandas as pd

requests, verdict = pd.read_parquet("requests.parquet"), json.load(open("verdict.json"))
users = requests[requests.lane == "user"]
eligible = users[~users.outcome.isin(["not_sent", "in_flight_at_end"])]
good = eligible[eligible.outcome == "ok"]
print(users.outcome.value_counts())
print("lost", len(eligible) - len(good), "of", len(eligible), "success rate", len(good) / len(eligible))
print("latency p99 in ms", ((good.done_us - good.scheduled_us) / 1000).quantile(0.99, interpolation="higher"))
"""
