"""What a gateway counts for Prometheus, in a registry of its own."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from target_service.gateway.admission import Admission

__all__ = ["GatewayMetrics"]

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 20, 30)


class _Standings:
    """Per-replica gauges, read when scraped."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def collect(self) -> Iterator[Metric]:
        admitted = GaugeMetricFamily("gateway_replica_admitted", "1 if admitted", labels=["replica"])
        ready = GaugeMetricFamily("gateway_replica_ready", "1 if /ready is 200", labels=["replica"])
        missed = GaugeMetricFamily("gateway_missed_beats", "Missed in a row", labels=["replica"])
        active = GaugeMetricFamily("gateway_active", "1 if it gets traffic", labels=["replica"])
        for name, standing in self._admission.standings.items():
            admitted.add_metric([name], standing.admitted)
            ready.add_metric([name], standing.ready)
            missed.add_metric([name], standing.missed)
            active.add_metric([name], name == self._admission.active)
        yield from (admitted, ready, missed, active)


class GatewayMetrics:
    """Counters and a histogram of one gateway."""

    def __init__(self, admission: Admission) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Standings(admission))
        self._requests = Counter(
            "gateway_requests",
            "Requests by how they ended",
            ["outcome", "traffic"],
            registry=self._registry,
        )
        self._duration_s = Histogram(
            "gateway_request_seconds",
            "Request to the end of its answer",
            buckets=BUCKETS_S,
            registry=self._registry,
        )

    def ended(self, outcome: str, duration_s: float, *, probe: bool) -> None:
        """Count one request."""
        self._requests.labels(outcome, "probe" if probe else "user").inc()
        self._duration_s.observe(duration_s)

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self._registry)
