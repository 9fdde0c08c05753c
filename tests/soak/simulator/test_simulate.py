"""What the simulator promises: one end per request, the same bits from seed and engine, and the textbooks' results."""

from __future__ import annotations

import math
from dataclasses import replace
from math import factorial

import numpy as np
import pytest

from harness.soak.simulator import (
    Clients,
    End,
    Outage,
    RateProfile,
    Service,
    ServiceTime,
    Setup,
    SimulationError,
    Totals,
    bucket_edges_s,
    draw_chunks,
    simulate,
    simulate_chunks,
)

pytestmark = pytest.mark.whole

PLAIN = Setup(Service(), engine="python")
STORM = Clients(deadline_s=3.0, try_timeout_s=1.0, tries_max=4, backoff_s=0.1, retry_rejected=True)


def erlang_c_wait_s(rate_per_s: float, service_s: float, servers: int) -> float:
    """Mean wait in M/M/c (Erlang 1917; Kleinrock, Queueing Systems 1, 1975, 3.4)."""
    load = rate_per_s * service_s
    last = load**servers / factorial(servers) / (1 - load / servers)
    waits = last / (sum(load**k / factorial(k) for k in range(servers)) + last)
    return waits * service_s / (servers - load)


def full_share(rate_per_s: float, service_s: float, servers: int, queue_limit: int) -> float:
    """The share of arrivals that M/M/c/K turns away (Kleinrock, 3.6)."""
    load = rate_per_s * service_s
    weights = [load**k / factorial(k) for k in range(servers)]
    weights += [load**servers / factorial(servers) * (load / servers) ** k for k in range(queue_limit + 1)]
    return weights[-1] / sum(weights)


EXPONENTIAL = ServiceTime(0.25, "exponential")


def crowd(
    setup: Setup,
    rate_per_s: float,
    horizon_s: float,
    *,
    seed: int = 1,
    chunk: int = 1 << 16,
    times: ServiceTime = EXPONENTIAL,
) -> Totals:
    chunks = draw_chunks(RateProfile((rate_per_s,)), times, horizon_s, seed, chunk)
    return simulate_chunks(chunks, replace(setup, horizon_s=horizon_s))


def broken_world() -> Setup:
    outages = [Outage(0, 20, 50), Outage(1, 40, 60, "hang"), Outage(0, 45, 80, "hang"), Outage(1, 90, 120)]
    service = Service(replicas=2, servers=3, queue_limit=20, detect_s=2, cancels=False)
    return Setup(service, STORM, outages, horizon_s=200, window_s=10, seed=3)


def same(one: Totals, other: Totals) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name != "ends")
        if isinstance(getattr(one, name), np.ndarray)
        else getattr(one, name) == getattr(other, name)
        for name in vars(one)
    )


def test_the_mean_wait_and_the_use_of_servers_are_erlangs() -> None:
    totals = crowd(replace(PLAIN, service=Service(servers=2)), 4.8, 20_000)
    assert totals.utilisation(20_000, 2)[0] == pytest.approx(0.6, rel=0.02)
    assert totals.wait_s_mean == pytest.approx(erlang_c_wait_s(4.8, 0.25, 2), rel=0.06)


def test_a_full_queue_turns_away_as_many_as_the_closed_form_says() -> None:
    totals = crowd(replace(PLAIN, service=Service(servers=2, queue_limit=3)), 8.0, 10_000)
    assert totals.ends[End.REJECTED] / totals.requests == pytest.approx(full_share(8.0, 0.25, 2, 3), rel=0.05)


def test_a_service_that_is_up_three_quarters_of_the_time_serves_three_quarters() -> None:
    """Alternating renewal: up / (up + down) (Ross, Stochastic Processes, 3.4)."""
    rng = np.random.default_rng(2)
    edges = np.cumsum(rng.exponential(1.0, 4000) * np.tile([3.0, 1.0], 2000))
    outages = [Outage(0, begin, end) for begin, end in edges.reshape(-1, 2)]
    setup = replace(PLAIN, service=Service(servers=50, detect_s=math.inf), outages=outages)
    chunks = draw_chunks(RateProfile((10.0,)), ServiceTime(1e-6, "constant"), float(edges[-1]), 1)
    totals = simulate_chunks(chunks, replace(setup, horizon_s=float(edges[-1])))
    up_s = float(edges[-1] - (edges[1::2] - edges[::2]).sum())
    assert totals.success_rate == pytest.approx(up_s / edges[-1], rel=0.01)
    assert totals.success_rate == pytest.approx(0.75, rel=0.06)  # 2,000 cycles have a spread of 1.4 %


def test_compiled_and_plain_give_the_same_bits() -> None:
    pytest.importorskip("numba")
    for world in (broken_world(), replace(broken_world(), clients=replace(STORM, retry_share=0.1))):
        found = [crowd(replace(world, engine=engine), 30.0, 200) for engine in ("python", "numba")]
        assert same(*found)
    arrivals = np.sort(np.random.default_rng(1).uniform(0, 200, 3000))
    runs = [simulate(arrivals, np.full(3000, 0.2), replace(broken_world(), engine=e))[0] for e in ("python", "numba")]
    assert runs[0].latency_s.tobytes() == runs[1].latency_s.tobytes() and runs[0].end.tobytes() == runs[1].end.tobytes()


def test_how_requests_are_cut_into_chunks_changes_nothing_and_the_seed_does() -> None:
    world = replace(broken_world(), engine="python")
    whole = crowd(world, 30.0, 200)
    assert same(whole, crowd(world, 30.0, 200, chunk=97))
    assert not same(whole, crowd(replace(world, seed=4), 30.0, 200))
    assert not same(whole, crowd(world, 30.0, 200, seed=2))


def test_every_request_has_one_end_and_is_counted_in_its_window() -> None:
    totals = crowd(replace(broken_world(), engine="python"), 30.0, 200)
    assert totals.requests == totals.window_arrivals.sum() and totals.ends[End.OK] == totals.window_ok.sum()
    assert totals.histogram.sum() == totals.ends[End.OK]
    assert totals.tries == totals.requests + totals.retries
    assert all(totals.ends[end] for end in (End.OK, End.REJECTED, End.RESET, End.TIMEOUT))
    assert totals.window_backlog.max() == totals.backlog_max == 20


def test_queues_without_limit_and_pending_retries_grow_beyond_the_first_room() -> None:
    arrivals = np.linspace(0, 10, 5000)
    outage = [Outage(0, 0, 20, "hang")]
    clients = Clients(try_timeout_s=15, tries_max=2, backoff_s=1)
    found, totals = simulate(
        arrivals, np.full(5000, 0.001), Setup(Service(detect_s=99), clients, outage, engine="python")
    )
    assert 1024 < totals.backlog_max <= 5000 + totals.retries and totals.retries > 1024
    assert (found.end == End.OK).all()


def test_without_a_budget_retries_keep_a_short_outage_alive_and_a_budget_ends_it() -> None:
    service = Service(servers=4, queue_limit=None, cancels=False, detect_s=99)
    clients = Clients(deadline_s=6, try_timeout_s=1, tries_max=5, backoff_s=0.05)
    setup = Setup(service, clients, [Outage(0, 60, 75, "hang")], window_s=10, engine="python")
    lost = {}
    for share in (None, 0.1):
        world = replace(setup, clients=replace(clients, retry_share=share))
        totals = crowd(world, 10.0, 300, times=ServiceTime(0.25, "constant"))
        late = slice(15, 30)  # from 75 s after the outage ended
        lost[share] = 1 - totals.window_ok[late].sum() / totals.window_arrivals[late].sum()
    assert lost[None] > 0.5 and lost[0.1] < 0.05


def test_a_standby_takes_over_once_the_outage_is_seen() -> None:
    arrivals = np.arange(0, 60, 0.5)
    setup = Setup(Service(replicas=2, servers=2, detect_s=5, readmit_s=3), outages=[Outage(0, 20, 40)], engine="python")
    found, totals = simulate(arrivals, np.full(len(arrivals), 0.1), setup)
    lost = arrivals[found.end != End.OK]
    assert lost.min() == 20 and lost.max() == 24.5
    assert totals.busy_s[1] == pytest.approx(0.1 * len(arrivals[(arrivals >= 25) & (arrivals < 43)]))


@pytest.mark.parametrize(
    ("part", "switch"),
    [
        ("service", {"replicas": 3}), ("service", {"servers": 4}), ("service", {"queue_limit": None}),
        ("service", {"routing": "spread"}), ("service", {"detect_s": 0.5}), ("service", {"readmit_s": 5}),
        ("service", {"cancels": True}), ("clients", {"deadline_s": None}), ("clients", {"try_timeout_s": None}),
        ("clients", {"tries_max": 1}), ("clients", {"backoff_s": 0.5}), ("clients", {"backoff_max_s": 0.15}),
        ("clients", {"jitter": False}), ("clients", {"retry_share": 0.05}), ("clients", {"retry_rejected": False}),
    ],
)  # fmt: skip
def test_every_switch_makes_a_difference(part: str, switch: dict[str, object]) -> None:
    world = replace(broken_world(), engine="python")
    other = replace(world, **{part: replace(getattr(world, part), **switch)})
    assert crowd(world, 30.0, 150).ends != crowd(other, 30.0, 150).ends


def test_the_budget_saves_no_more_than_it_may() -> None:
    arrivals = np.arange(0, 100, 0.1)
    setup = Setup(Service(detect_s=99), outages=[Outage(0, 95, 200)], engine="python")
    clients = Clients(tries_max=2, backoff_s=0.01, retry_share=0.1)
    retries = {
        saved: simulate(arrivals, np.full(1000, 0.01), replace(setup, clients=replace(clients, saved_max=saved)))[
            1
        ].retries
        for saved in (10, 20)
    }
    assert retries == {10: 14, 20: 24}  # what was saved, and a tenth of the 49 that follow


def test_who_holds_a_request_for_ever_leaves_it_unfinished() -> None:
    setup = Setup(Service(detect_s=math.inf), outages=[Outage(0, 1, math.inf, "hang")], engine="python")
    found, totals = simulate(np.array([0.0, 2.0]), np.array([0.5, 0.5]), setup)
    assert found.end.tolist() == [End.OK, End.UNFINISHED] and totals.requests == 2


def test_the_rate_follows_its_profile_and_rates_of_zero_have_no_arrivals() -> None:
    profile = RateProfile((0.0, 20.0, 0.0, 5.0), step_s=100.0)
    arrivals = np.concatenate([chunk for chunk, _ in draw_chunks(profile, ServiceTime(), 80_000, 1, 10_000)])
    assert (np.diff(arrivals) >= 0).all() and arrivals[-1] < 80_000
    counts = np.bincount((arrivals % 400 // 100).astype(int), minlength=4)
    assert counts[0] == counts[2] == 0
    assert counts[[1, 3]] == pytest.approx([400_000, 100_000], rel=0.02)


@pytest.mark.parametrize("kind", ["lognormal", "exponential", "constant", "measured"])
def test_service_times_have_the_mean_that_was_asked_for(kind: str) -> None:
    times = ServiceTime(0.2, kind, measured_s=(0.1, 0.3))  # type: ignore[arg-type]
    assert times.draw(100_000, np.random.default_rng(1)).mean() == pytest.approx(0.2, rel=0.02)


def test_quantiles_come_from_buckets_no_wider_than_a_thousandth() -> None:
    edges = bucket_edges_s()
    assert (np.diff(edges)[2048:] / edges[2048:-1] < 1.01 / 1024).all()
    latencies = np.random.default_rng(1).lognormal(-1, 1, 5000)
    _, totals = simulate(np.arange(5000) * 1e6, latencies, replace(PLAIN, horizon_s=5e9, window_s=1e9))
    for quantile in (0.5, 0.9, 0.99):
        assert totals.latency_s(quantile) == pytest.approx(np.quantile(latencies, quantile), rel=0.01)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: Service(servers=0), "servers is 0"),
        (lambda: Clients(tries_max=0), "tries_max is 0"),
        (lambda: Clients(deadline_s=0), "deadline_s is 0"),
        (lambda: Setup(Service(), window_s=0), "window_s is 0"),
        (lambda: RateProfile((0.0,)), "rate_per_s"),
        (lambda: RateProfile((1.0, -1.0)), "rate_per_s"),
        (
            lambda: simulate(np.zeros(1), np.ones(1), Setup(Service(), outages=[Outage(1, 0, 1)])),
            "an outage's replica is 1",
        ),
        (lambda: simulate(np.zeros(1), np.ones(1), Setup(Service(), outages=[Outage(0, 2, 1)])), "end_s is 1"),
        (lambda: simulate(np.array([2.0, 1.0]), np.ones(2), PLAIN), "in order"),
        (lambda: simulate(np.array([1.0, math.nan]), np.ones(2), PLAIN), "in order"),
        (lambda: simulate(np.zeros(2), np.zeros(2), PLAIN), "above 0"),
        (lambda: simulate(np.zeros(2), np.ones(3), PLAIN), "shape"),
    ],
)
def test_nonsense_is_refused_in_a_sentence(wrong: object, words: str) -> None:
    with pytest.raises(SimulationError, match=words):
        wrong()  # type: ignore[operator]
