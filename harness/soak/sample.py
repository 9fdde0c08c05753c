"""The measured trials that may be put together, and what they say of each fault type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.analysis.frame import Floats
from harness.model.soak import FaultType, SoakFile
from harness.model.soak_trials import FaultFree, Night, Trial

__all__ = ["Sample", "TypeSample", "sample_of"]


@dataclass(frozen=True)
class TypeSample:
    """Verified trials of one type; arrays of length n. Costs are in seconds of full outage: requests lost / rate."""

    fault: FaultType
    trials: tuple[Trial, ...]
    cost_s: Floats
    downtime_s: Floats
    extra_latency_s: Floats  # latency of good requests above the fault-free mean, per request a second of load
    in_flight_per_rate: Floats  # most requests in flight, per request a second of load
    incidents: int
    censored: int
    thrown_out: int  # trials that prove nothing
    rates: tuple[float, ...] = ()  # requests a second at which each was measured

    @property
    def n(self) -> int:
        return len(self.trials)


@dataclass(frozen=True)
class Sample:
    """What the projection rests on."""

    nights: tuple[Night, ...]  # that were pooled, oldest first
    left_out: tuple[str, ...]  # why others were not
    types: tuple[TypeSample, ...]
    fault_free_requests: int
    fault_free_lost: int
    fault_free_s: float
    minute_means_s: Floats  # mean latency of each fault-free minute
    fault_free: tuple[FaultFree, ...]

    @property
    def trials(self) -> int:
        return sum(one.n for one in self.types)

    @property
    def loss_share(self) -> float:
        """Of fault-free requests."""
        return self.fault_free_lost / self.fault_free_requests if self.fault_free_requests else 0.0

    @property
    def latency_s_mean(self) -> float | None:
        """Of good fault-free requests."""
        good = sum(one.requests - one.lost for one in self.fault_free)
        return sum(one.latency_s_sum for one in self.fault_free) / good if good else None


def sample_of(soak: SoakFile, nights: Sequence[Night]) -> Sample:
    """Pool what matches the latest night: build, configuration, host and stack. Real-time runs are anchors only.

    `nights` come in their order, which the store knows and a clock that jumps does not.
    """
    ordered = [one for one in nights if not one.real_time]
    pooled, left_out = [], []
    for one in ordered:
        different = [
            name
            for name, a, b in zip(("build", "configuration", "host", "stack"), one.pool, ordered[-1].pool, strict=True)
            if a != b
        ]
        if different:
            left_out.append(f"{one.run_id}: another {' and '.join(different)}")
        elif not one.trusted:
            left_out.append(f"{one.run_id}: {one.doubts[0]}")
        else:
            pooled.append(one)
    free = tuple(one.fault_free for one in pooled if one.fault_free is not None)
    return Sample(
        nights=tuple(pooled),
        left_out=tuple(left_out),
        types=tuple(_of_type(fault, pooled) for fault in soak.faults),
        fault_free_requests=sum(one.requests for one in free),
        fault_free_lost=sum(one.lost for one in free),
        fault_free_s=sum(one.seconds for one in free),
        minute_means_s=np.array([minute[3] for one in free for minute in one.per_minute]),
        fault_free=free,
    )


def _of_type(fault: FaultType, nights: Sequence[Night]) -> TypeSample:
    found = [(one, night) for night in nights for one in night.trials if one.fault_type == fault.name]
    valid = [(one, night) for one, night in found if one.valid]
    return TypeSample(
        fault=fault,
        trials=tuple(one for one, _ in valid),
        cost_s=np.array([_cost_s(one, night) for one, night in valid]),
        downtime_s=np.array([one.downtime_s for one, _ in valid]),
        extra_latency_s=np.array([_extra_s(one, night) for one, night in valid]),
        in_flight_per_rate=np.array([one.in_flight_max / night.rate_per_s for one, night in valid]),
        incidents=sum(one.incident for one, _ in valid),
        censored=sum(one.censored for one, _ in valid),
        thrown_out=len(found) - len(valid),
        rates=tuple(night.rate_per_s for _, night in valid),
    )


def _cost_s(one: Trial, night: Night) -> float:
    """What was lost beyond what is always lost, as seconds in which everything is."""
    free = night.fault_free
    usual = free.lost / free.requests * one.requests if free and free.requests else 0.0
    return max(0.0, one.lost - usual) / night.rate_per_s


def _extra_s(one: Trial, night: Night) -> float:
    free = night.fault_free
    good = free.requests - free.lost if free else 0
    if free is None or good == 0:
        return 0.0
    return (one.latency_s_sum - (one.requests - one.lost) * free.latency_s_sum / good) / night.rate_per_s
