"""What a gateway counts for Prometheus, in a registry of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from target_service.gateway.admission import Admission
from target_service.gateway.breaker import Breaker, BreakerState
from target_service.gateway.traffic import Traffic

__all__ = ["GatewayMetrics"]

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 20, 30)
BREAKER_LEVELS = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


class _Standings:
    """Per-replica values, read when scraped."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def collect(self) -> Iterator[Metric]:
        admitted = GaugeMetricFamily("gateway_replica_admitted", "1 if admitted", labels=["replica"])
        ready = GaugeMetricFamily("gateway_replica_ready", "1 if /ready is 200", labels=["replica"])
        missed = GaugeMetricFamily("gateway_missed_beats", "Missed in a row", labels=["replica"])
        active = GaugeMetricFamily("gateway_active", "1 if it is the active one", labels=["replica"])
        opened = GaugeMetricFamily("gateway_open_requests", "At the replica now", labels=["replica"])
        ejected = CounterMetricFamily("gateway_ejections", "For failures of users", labels=["replica"])
        for name, standing in self._admission.standings.items():
            admitted.add_metric([name], standing.admitted)
            ready.add_metric([name], standing.ready)
            missed.add_metric([name], standing.missed)
            active.add_metric([name], name == self._admission.active)
            opened.add_metric([name], standing.open_requests)
            ejected.add_metric([name], standing.ejected_total)
        yield from (admitted, ready, missed, active, opened, ejected)


class _Protections:
    """What breakers, retries and hedges did, read when scraped."""

    def __init__(self, breakers: Mapping[str, Breaker], traffic: Traffic) -> None:
        self._breakers = breakers
        self._traffic = traffic

    def collect(self) -> Iterator[Metric]:
        breaker = GaugeMetricFamily("gateway_breaker", "0 closed, 1 half-open, 2 open", labels=["replica"])
        for name, each in self._breakers.items():
            breaker.add_metric([name], BREAKER_LEVELS[each.state])
        yield breaker
        yield CounterMetricFamily("gateway_retries", "Tries after a failed one", value=self._traffic.retries_total)
        yield CounterMetricFamily("gateway_hedges", "Tries beside a slow one", value=self._traffic.hedges_total)
        yield CounterMetricFamily("gateway_hedges_won", "Of them, answered first", value=self._traffic.hedges_won_total)


class GatewayMetrics:
    """Counters and a histogram of one gateway."""

    def __init__(self, admission: Admission, breakers: Mapping[str, Breaker], traffic: Traffic) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Standings(admission))
        self._registry.register(_Protections(breakers, traffic))
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
