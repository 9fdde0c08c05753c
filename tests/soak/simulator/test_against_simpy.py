"""Request for request the same as an independent simulation of the same model, in worlds drawn at random."""

from __future__ import annotations

import numpy as np
import pytest

from harness.soak.simulator import Clients, Outage, Service, Setup, simulate
from tests.soak.simulator.oracle import Oracle

pytestmark = pytest.mark.whole

HORIZON_S = 60.0


def world(seed: int) -> tuple[Service, Clients, list[Outage], np.ndarray, np.ndarray]:
    """Small, crowded and broken: every rule is met within some hundred requests."""
    rng = np.random.default_rng(seed)
    service = Service(
        replicas=int(rng.integers(1, 4)),
        servers=int(rng.integers(1, 4)),
        queue_limit=None if rng.random() < 0.3 else int(rng.integers(0, 8)),
        routing="spread" if rng.random() < 0.5 else "primary",
        detect_s=float(rng.uniform(0, 2)),
        readmit_s=float(rng.uniform(0, 1)),
        cancels=bool(rng.random() < 0.5),
    )
    clients = Clients(
        deadline_s=None if rng.random() < 0.2 else float(rng.uniform(0.5, 4)),
        try_timeout_s=None if rng.random() < 0.5 else float(rng.uniform(0.3, 2)),
        tries_max=int(rng.integers(1, 5)),
        backoff_s=float(rng.uniform(0.001, 0.3)),
        jitter=False,
        retry_share=None if rng.random() < 0.5 else float(rng.uniform(0, 0.5)),
        saved_max=float(rng.uniform(1, 6)),
        retry_rejected=bool(rng.random() < 0.5),
    )
    outages = [
        Outage(
            int(rng.integers(service.replicas)), begin, begin + rng.exponential(3), "crash" if fatal < 0.5 else "hang"
        )
        for begin, fatal in zip(rng.uniform(0, HORIZON_S, rng.integers(0, 9)), rng.random(9), strict=False)
    ]
    arrivals = np.sort(rng.uniform(0, HORIZON_S, int(rng.integers(100, 500))))
    # Capacity is what they would need alone, half to one and a half times.
    mean_s = rng.uniform(0.5, 1.5) * service.servers * HORIZON_S / len(arrivals)
    return service, clients, outages, arrivals, rng.exponential(mean_s, len(arrivals))


@pytest.mark.parametrize("block", range(5))
def test_every_request_ends_as_in_simpy_and_as_late(block: int) -> None:
    for seed in range(12 * block, 12 * (block + 1)):
        service, clients, outages, arrivals, services = world(seed)
        oracle = Oracle(service, clients, outages)
        oracle.run(arrivals.tolist(), services.tolist())
        found, totals = simulate(
            arrivals, services, Setup(service, clients, outages, horizon_s=HORIZON_S, engine="python")
        )
        assert sorted(oracle.ends) == list(range(len(arrivals)))
        ends = [int(oracle.ends[index]) for index in range(len(arrivals))]
        assert found.end.tolist() == ends, seed
        latencies = [oracle.latencies_s[index] for index in range(len(arrivals))]
        np.testing.assert_allclose(found.latency_s, latencies, atol=1e-6, err_msg=str(seed))
        assert (totals.retries, totals.retries_denied) == (oracle.retries, oracle.denied), seed
        waits = [wait for replica in oracle.replicas for wait in replica.waits_s]
        assert totals.started == len(waits), seed
        np.testing.assert_allclose(totals.wait_s_mean, np.mean(waits), atol=1e-6)
        assert totals.backlog_max == max(replica.longest_queue for replica in oracle.replicas), seed


def test_the_drawn_worlds_meet_every_end_and_every_rule() -> None:
    ends: set[int] = set()
    retries = denied = overlaps = 0
    for seed in range(60):
        service, clients, outages, arrivals, services = world(seed)
        found, totals = simulate(
            arrivals, services, Setup(service, clients, outages, horizon_s=HORIZON_S, engine="python")
        )
        ends |= set(found.end.tolist())
        retries += totals.retries
        denied += totals.retries_denied
        overlaps += any(
            a.replica == b.replica and a.kind != b.kind and a.begin_s < b.begin_s < a.end_s
            for a in outages
            for b in outages
        )
    assert ends == {0, 1, 2, 3, 4} and retries > 1000 and denied > 300 and overlaps >= 5
