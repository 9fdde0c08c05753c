"""What a gateway counts for Prometheus, in a registry of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from target_service.gateway.access import Logins
from target_service.gateway.admission import Admission
from target_service.gateway.breaker import Breaker, BreakerState
from target_service.gateway.traffic import Traffic
from target_service.observability.logs import Logs
from target_service.observability.memory import group_memory, system_memory_share
from target_service.observability.naming import SERVICE, Named, Sample, families, sets_of
from target_service.observability.settings import ObservabilitySettings
from target_service.observability.tally import Tally

__all__ = ["GatewayMetrics"]

OWN = (
    Named("uptime_s", "gateway_uptime_seconds", "gauge", "Since the process began"),
    Named("open", "gateway_requests_under_way", "gauge", "At the gateway, whether at a replica or not"),
    Named("group_used", "gateway_cgroup_memory_bytes", "gauge", "Of the control group, page cache included"),
    Named("group_limit", "gateway_cgroup_memory_limit_bytes", "gauge", "Of the control group"),
    Named("log_dropped", "gateway_log_lines_dropped", "counter", "Lines that the disk refused, or was too slow for"),
    Named("log_suppressed", "gateway_log_lines_suppressed", "counter", "Repeated complaints that were cut short"),
)
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


class _Refusals:
    """Who tried wrong keys, read when scraped."""

    def __init__(self, logins: Logins) -> None:
        self._logins = logins

    def collect(self) -> Iterator[Metric]:
        failures = CounterMetricFamily("gateway_login_failures", "Wrong keys and tokens", labels=["caller"])
        for caller, count in self._logins.failures.items():
            failures.add_metric([caller], count)
        yield failures
        yield CounterMetricFamily("gateway_lockouts", "Addresses that were locked out", value=self._logins.lockouts)


class GatewayMetrics:
    """Counters and a histogram of one gateway."""

    def __init__(
        self,
        admission: Admission,
        breakers: Mapping[str, Breaker],
        traffic: Traffic,
        logs: Logs | None = None,
        logins: Logins | None = None,
    ) -> None:
        self._logs = logs or Logs(ObservabilitySettings(), "gateway")
        self._admission = admission
        self._begun_s = time.monotonic()
        self._tally = Tally(good="answered")
        self._registry = CollectorRegistry()
        self._registry.register(_Standings(admission))
        self._registry.register(_Protections(breakers, traffic))
        self._registry.register(_Refusals(logins or Logins()))
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
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

    def began(self) -> None:
        """One more request."""
        self._tally.began()

    def ended(self, outcome: str, duration_s: float, *, probe: bool) -> None:
        """Count one request."""
        self._requests.labels(outcome, "probe" if probe else "user").inc()
        self._duration_s.observe(duration_s)
        self._tally.ended(outcome, duration_s, probe=probe)

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What is read when scraped; the names of the seed documents beside our own."""
        memory = group_memory()
        samples: dict[str, float | Sequence[Sample] | None] = {
            **self._tally.samples(),
            "healthy": float(bool(self._admission.admitted)),
            "uptime_s": time.monotonic() - self._begun_s,
            "machine_memory": system_memory_share(),
            "group_used": memory.used_bytes if memory else None,
            "group_limit": memory.limit_bytes if memory else None,
            "log_dropped": self._logs.dropped_total,
            "log_suppressed": self._logs.suppressed_total,
        }
        yield from families(OWN, samples, {})
        if sets_of(self._logs.settings.metric_names, ("seed",)):
            yield from families(SERVICE, samples, {})
