"""What a replica counts for Prometheus, in a registry of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from target_service.replica.cache import AnswerCache
from target_service.replica.state import ReplicaState

__all__ = ["ReplicaMetrics"]

TTFT_BUCKETS_S = (0.005, 0.01, 0.02, 0.04, 0.08, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
E2E_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 20, 30)


class _FromState:
    """Values that are read when scraped instead of being kept twice."""

    def __init__(self, state: ReplicaState, cache: AnswerCache) -> None:
        self._state = state
        self._cache = cache

    def collect(self) -> Iterator[Metric]:
        serving = self._state.serving
        yield GaugeMetricFamily("target_ready", "1 if /ready is 200", float(self._state.ready))
        build = GaugeMetricFamily("target_build_info", "What runs", labels=["name", "model"])
        build.add_metric([self._state.name, self._state.model], 1)
        yield build
        yield CounterMetricFamily("target_cache_hits", "Answers from the cache", value=self._cache.hits_total)
        yield CounterMetricFamily("target_cache_misses", "Answers computed past it", value=self._cache.misses_total)
        failed = CounterMetricFamily("target_integrity_failures", "Times a detector fired", labels=["detector"])
        for detector, times in self._state.verification.failures.items():
            failed.add_metric([detector], times)
        yield failed
        # Before the model is loaded these are absent, not zero.
        if serving is None:
            return
        engine = serving.engine
        yield GaugeMetricFamily("target_queue_depth", "Requests waiting", engine.waiting)
        yield GaugeMetricFamily("target_running", "Requests taking turns", engine.running)
        yield CounterMetricFamily("target_generated_tokens", "Tokens computed: progress", value=engine.tokens_total)
        found = engine.nan_guard.non_finite_total
        yield CounterMetricFamily("target_non_finite_logits", "Steps with NaN or infinity; --nan-guard", value=found)
        age_s = self._state.verification.age_s(time.monotonic())
        if age_s is not None:
            yield GaugeMetricFamily("target_verified_age_seconds", "Since the model was known to be good", age_s)
        yield GaugeMetricFamily("target_model_load_seconds", "Folder to proven", serving.load_s)


class ReplicaMetrics:
    """Counters and histograms of one replica."""

    def __init__(self, state: ReplicaState, cache: AnswerCache) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_FromState(state, cache))
        self._requests = Counter(
            "target_requests",
            "Chat requests by how they ended",
            ["outcome", "traffic"],
            registry=self._registry,
        )
        self.ttft_s = Histogram(
            "target_ttft_seconds",
            "Request to first token",
            buckets=TTFT_BUCKETS_S,
            registry=self._registry,
        )
        self.e2e_s = Histogram(
            "target_e2e_seconds",
            "Request to whole answer",
            buckets=E2E_BUCKETS_S,
            registry=self._registry,
        )

    def ended(self, outcome: str, *, probe: bool) -> None:
        """Count one request; `outcome` is ok, cancelled or the status as text."""
        self._requests.labels(outcome, "probe" if probe else "user").inc()

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self._registry)
