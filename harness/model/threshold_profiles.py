"""Named sets of limits, from three documents about running inference services that contradict one another.

A scenario chooses one by `thresholds: NAME`; a limit of its own under `observe` goes before the profile's. The
documents alert on a rate that lasts for minutes; a run is judged as a whole, which is the stricter reading whenever the
fault is a part of it. What they say of memory, GPUs and 720 hours is not judged in one run, and not pretended here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from harness.model.limit import Limit

__all__ = ["PROFILES", "ThresholdProfile"]

ThresholdProfile: TypeAlias = Literal["edge-recovery", "grounding-alerts", "grounding-30-days", "online-stability"]

PROFILES: Mapping[ThresholdProfile, Mapping[str, Limit]] = {
    # One small model on an edge host, disaster recovery: errors above 10 % (81), mean answer above 8 s (82).
    "edge-recovery": {"http_error_rate": Limit(max=0.10), "latency_mean_s": Limit(max=8)},
    # Visual grounding, alerts: success below 95 % (85), mean answer above 5 s (86), more than 10 errors (88).
    "grounding-alerts": {
        "success_rate": Limit(min=0.95),
        "latency_mean_s": Limit(max=5),
        "http_errors": Limit(max=10),
    },
    # Visual grounding, the table of its 30 days: success 99.9 % (108), mean answer 2 s (109). Run time, failures and
    # concurrency (106, 107, 110) are the soak's: a run has one fault because it was asked for one.
    "grounding-30-days": {"success_rate": Limit(min=0.999), "latency_mean_s": Limit(max=2)},
    # A reasoning model online: P99 above 800 ms (90), errors above 1 % (92).
    "online-stability": {"latency_ms_p99": Limit(max=800), "http_error_rate": Limit(max=0.01)},
}
