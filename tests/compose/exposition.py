"""/metrics of the gateway's and two replicas' own classes, with something of everything in them, on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace

import pytest

from target_service.gateway.admission import Admission
from target_service.gateway.breaker import Breaker, BreakerRules
from target_service.gateway.events import EventLog
from target_service.gateway.metrics import GatewayMetrics
from target_service.gateway.traffic import Traffic
from target_service.replica.cache import AnswerCache
from target_service.replica.metric_names import HISTOGRAMS
from target_service.replica.metrics import STARTS, ReplicaMetrics
from target_service.replica.state import ReplicaState
from tests.exposed import served

GATEWAY = ("answered", "answered", "answered", "timeout", "unreachable")


def gateway_metrics() -> GatewayMetrics:
    """Of a gateway before two replicas."""
    events = EventLog(lambda: 0.0)
    admission = Admission(["primary", "standby"], events, missed_max=3, failback=True, active_standby=True)
    breakers = {name: Breaker(name, events, BreakerRules()) for name in admission.standings}
    return GatewayMetrics(admission, breakers, Traffic())


def replica_metrics(name: str) -> ReplicaMetrics:
    """Of a replica whose model was found good once and bad once."""
    state = ReplicaState(name, "m")
    guard = SimpleNamespace(non_finite_total=4)
    engine = SimpleNamespace(waiting=1, running=2, running_max=16, tokens_total=300, nan_guard=guard)
    state.serving = SimpleNamespace(engine=engine, load_s=1.5, verified=True, verified_note="")  # type: ignore[assignment]
    state.verification.good(0.0)
    state.verification.bad("manifest: x")
    return ReplicaMetrics(state, AnswerCache(0, 1.0))


@contextmanager
def exposed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapping[str, int]]:
    """Name of each server -> its port. Nearly all of the machine's memory is in use, so that an alert fires."""
    monkeypatch.setenv(STARTS, "1")
    group = SimpleNamespace(used_bytes=5 * 2**20, limit_bytes=2**30)
    for module in ("target_service.replica.metrics", "target_service.gateway.metrics"):
        monkeypatch.setattr(f"{module}.group_memory", lambda: group)
        monkeypatch.setattr(f"{module}.system_memory_share", lambda: 0.95)
    gateway = gateway_metrics()

    def busy() -> bytes:
        for outcome in GATEWAY:
            gateway.began()
            gateway.ended(outcome, 0.2, probe=False)
        return gateway.text()

    def busy_replica(name: str) -> Callable[[], bytes]:
        metrics = replica_metrics(name)

        def text() -> bytes:
            for quantity in HISTOGRAMS:
                metrics.observe(quantity, 0.3)
            metrics.began()
            metrics.ended("429", "queue_full", 0.0, probe=False)
            return metrics.text()

        return text

    texts = {name: busy_replica(name) for name in ("primary", "standby")}
    with ExitStack() as running:
        yield {name: running.enter_context(served(text)) for name, text in {**texts, "gateway": busy}.items()}
