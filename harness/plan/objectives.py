"""What a scenario can set limits on. The checks that judge them are in `harness.analysis.checks`."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CLAIMS", "OBSERVABLES", "quantile_of"]

OBSERVABLES: Mapping[str, str] = {
    "recovery_s": "episode",  # from the fault's begin until users lose no more than in the baseline
    "first_good_s": "episode",  # from the fault's begin to the first request served after a loss
    "lost_requests": "episode",  # every bad outcome, in number
    "wrong_answers": "episode",
    "silent_s": "episode",  # how long users were served from a damaged model before the target noticed
    "truncated": "episode",
    "restarts": "episode",  # processes started again after an exit that nobody had asked for
    "detect_s": "episode",
    "isolate_s": "episode",
    "restore_s": "episode",
    "verify_s": "episode",
    "success_rate": "run",  # of every user request after the warm-up, 0 to 1
    "http_error_rate": "run",  # answered with an error status, of every user request after the warm-up, 0 to 1
    "http_errors": "run",  # the same, in number
    "latency_mean_s": "run",  # of all good requests
    "latency_ms_p99": "run",  # of good requests in the baseline
    "ttft_ms_p99": "run",
}
"""Name -> what it is taken of: every `episode`, or the `run`."""

_QUANTILES = ("p50", "p90", "p95", "p99")

CLAIMS: Mapping[str, str] = {
    **{f"recovery_s_{quantile}": "episodes" for quantile in _QUANTILES},
    **{f"lost_requests_{quantile}": "episodes" for quantile in _QUANTILES},
    "baseline_success_rate": "requests",  # of the fault-free part, where requests are independent
    "baseline_wrong_answer_rate": "requests",
}
"""Name -> what its sample is made of."""


def quantile_of(name: str) -> float | None:
    """0.95 for `recovery_s_p95`; None for a claim that is not about a quantile."""
    _, _, last = name.rpartition("_")
    return int(last[1:]) / 100 if last in _QUANTILES else None
