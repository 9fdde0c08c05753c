"""What the renewal model cannot see: the worst projected month, request by request, faults together and each alone.

Queues, deadlines, retries and fail-over come from the simulator; how long a replica is away, and when the gateway sees
it, from the trials' medians; how many requests it serves at once, from the soak file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.analysis.frame import Floats
from harness.model.soak import Simulated, SoakFile
from harness.model.soak_report import Overlap
from harness.soak.latency import merged, quantile_s
from harness.soak.months import DAY_S, Months, evaluate
from harness.soak.sample import Sample, TypeSample
from harness.soak.simulator import Clients, End, Outage, Service, Setup, simulate

__all__ = ["overlap_of_worst"]

CRASHES = {"process.kill", "process.stop", "memory.oom"}
HANGS = {"process.pause", "service.hang"}
REPLICAS = {"primary": 0, "standby": 1, "any": 0}
BEFORE_S, AFTER_S = 10.0, 300.0  # around each outage; requests between such stretches are as in the fault-free one
FAULTS_MOST = 100  # the first ones of the month: more are a way to run
PLAIN_MOST = 100_000  # requests that plain Python follows in the time that numba takes to load


@dataclass(frozen=True)
class _Fault:
    at_s: float
    load: float
    outages: tuple[Outage, ...]

    @property
    def until_s(self) -> float:
        """When nothing of it is felt any more."""
        return max(one.end_s for one in self.outages) + AFTER_S


def overlap_of_worst(soak: SoakFile, sample: Sample, months: Months, seed: int) -> Overlap | None:
    """None when the file does not say what the service is, or trials do not say enough of it."""
    served = _service_times(sample)
    if soak.simulate is None or served is None:
        return None
    month = int(np.argmin(evaluate(months)["success_rate"]))
    known = {one.fault.name: one for one in sample.types if _outages(one, 0.0)}
    happened = [
        (float(faults.at_day[index]) * DAY_S, float(faults.load[index]), float(faults.cost_s[index]), name)
        for name, faults in months.faults.items()
        for index in np.flatnonzero((faults.month == month) & (faults.chance < months.shares[name]))
        if name in known
    ]
    happened = sorted(happened)[:FAULTS_MOST]
    faults = _apart(soak, happened, known)
    projected = sum(cost_s * load for _, load, cost_s, _ in happened) * months.rate_per_s
    rng = np.random.default_rng(seed)
    arrival_s = _arrivals(faults, months.rate_per_s, rng)
    service_s = served[rng.integers(0, served.size, arrival_s.size)]
    setup = _setup(soak, soak.simulate, sample, float(arrival_s[-1]) if arrival_s.size else 1.0)
    if arrival_s.size < PLAIN_MOST:
        setup = dataclasses.replace(setup, engine="python")
    together, backlog = _lost(arrival_s, service_s, setup, [one for fault in faults for one in fault.outages])
    alone = 0
    for fault in faults:
        near = slice(*np.searchsorted(arrival_s, [fault.at_s - BEFORE_S, fault.until_s]))
        alone += _lost(arrival_s[near], service_s[near], setup, fault.outages)[0]
    left_out = tuple(one.fault.name for one in sample.types if one.fault.name not in known)
    return Overlap(len(faults), int(arrival_s.size), together, alone, projected, backlog, left_out)


def _service_times(sample: Sample) -> Floats | None:
    """A thousand quantiles of the fault-free latencies, in s."""
    bins = merged((one.latency_bins, 1.0) for one in sample.fault_free)
    found = [quantile_s(bins, (place + 0.5) / 1000) for place in range(1000)] if bins else []
    return np.array(found, np.float64) if found else None


def _outages(one: TypeSample, at_s: float) -> tuple[Outage, ...]:
    """Of a fault at `at_s`; () for a type that the simulator does not know, or whose recovery nobody saw."""
    back_s = _median([trial.verify_s for trial in one.trials])
    found = []
    for fault in one.fault.inject:
        if fault.on not in REPLICAS or fault.kind not in CRASHES | HANGS:
            return ()
        hangs = fault.kind in HANGS
        lasts_s = fault.lasts_s if hangs else back_s
        if not lasts_s:
            return ()
        begin_s = at_s + fault.at_s
        found.append(Outage(REPLICAS[fault.on], begin_s, begin_s + lasts_s, "hang" if hangs else "crash"))
    return tuple(found)


def _apart(
    soak: SoakFile, happened: Sequence[tuple[float, float, float, str]], known: Mapping[str, TypeSample]
) -> list[_Fault]:
    """Faults of a burst come one after the other, as soon as the one before has been healed."""
    found: list[_Fault] = []
    free_s: dict[str, float] = {}
    for at_s, load, _, name in happened:
        begin_s = max(BEFORE_S, at_s, free_s.get(name, 0.0))
        free_s[name] = begin_s + known[name].fault.lasts_s + soak.measure.trial_s
        found.append(_Fault(begin_s, load, _outages(known[name], begin_s)))
    return found


def _arrivals(faults: Sequence[_Fault], rate_per_s: float, rng: np.random.Generator) -> Floats:
    """Poisson around each fault, at the load of its moment; where stretches meet, at that of the later one."""
    parts: list[Floats] = [np.zeros(0)]
    done_s = 0.0
    for place, fault in enumerate(faults):
        begin_s, end_s = max(done_s, fault.at_s - BEFORE_S), max(done_s, fault.until_s)
        if place + 1 < len(faults):
            end_s = min(end_s, max(begin_s, faults[place + 1].at_s - BEFORE_S))
        count = int(rng.poisson(rate_per_s * fault.load * (end_s - begin_s)))
        parts.append(np.sort(rng.uniform(begin_s, end_s, count)))
        done_s = max(done_s, end_s)
    return np.concatenate(parts)


def _setup(soak: SoakFile, service: Simulated, sample: Sample, horizon_s: float) -> Setup:
    seen_s = [trial.isolate_s for one in sample.types for trial in one.trials]
    replicas = Service(
        replicas=2, servers=service.servers, queue_limit=service.queue_limit, detect_s=_median(seen_s) or 1.0
    )
    clients = Clients(soak.load.deadline_s, tries_max=service.tries_max, retry_share=service.retry_share)
    return Setup(replicas, clients, horizon_s=horizon_s, window_s=horizon_s)


def _lost(arrival_s: Floats, service_s: Floats, setup: Setup, outages: Sequence[Outage]) -> tuple[int, int]:
    """Requests that did not end well and would have without the outages, and the longest queue."""
    _, without = simulate(arrival_s, service_s, setup)
    _, totals = simulate(arrival_s, service_s, dataclasses.replace(setup, outages=tuple(outages)))
    return without.ends[End.OK] - totals.ends[End.OK], totals.backlog_max


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None
