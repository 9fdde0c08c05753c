"""Requests drawn chunk by chunk: Poisson arrivals whose rate follows a profile, and service times."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from harness.soak.simulator.inputs import SimulationError

__all__ = ["RateProfile", "ServiceTime", "draw_chunks"]

FloatArray = npt.NDArray[np.float64]
CHUNK = 1 << 19  # requests drawn at once: 8 MB


@dataclass(frozen=True)
class RateProfile:
    """Arrivals per s, constant within each step of `step_s` and repeated, as a day or a week is."""

    rate_per_s: tuple[float, ...]
    step_s: float = 3600.0

    def __post_init__(self) -> None:
        if (
            not self.rate_per_s
            or not all(0 <= rate < math.inf for rate in self.rate_per_s)
            or sum(self.rate_per_s) == 0
        ):
            raise SimulationError("rate_per_s: rates must be 0 or more and finite, and at least one above 0")
        if not 0 < self.step_s < math.inf:
            raise SimulationError(f"step_s is {self.step_s}: it must be above 0")


@dataclass(frozen=True)
class ServiceTime:
    """How long a server needs for a request. `sigma`: of the logarithm, for `lognormal` alone.

    `measured`: drawn from `measured_s`, with replacement; its mean is theirs.
    """

    mean_s: float = 0.1
    kind: Literal["lognormal", "exponential", "constant", "measured"] = "lognormal"
    sigma: float = 0.5
    measured_s: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind == "measured" and not (self.measured_s and min(self.measured_s) > 0):
            raise SimulationError("measured_s: at least one service time, all above 0")
        if not (self.mean_s > 0 and self.sigma >= 0):
            raise SimulationError(f"mean_s is {self.mean_s}, sigma {self.sigma}: above 0, and 0 or more")

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        """(count,) in s, each above 0."""
        if self.kind == "constant":
            return np.full(count, self.mean_s)
        if self.kind == "measured":
            return rng.choice(np.array(self.measured_s), count)
        if self.kind == "exponential":
            return np.maximum(rng.standard_exponential(count) * self.mean_s, 1e-12)
        drawn = rng.standard_normal(count)
        drawn *= self.sigma
        drawn += math.log(self.mean_s) - self.sigma**2 / 2  # so that the mean is mean_s
        return np.exp(drawn, out=drawn)


def draw_chunks(
    profile: RateProfile, service: ServiceTime, horizon_s: float, seed: int, chunk: int = CHUNK
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Chunks of (arrival_s, service_s), both (n,), of [0, horizon_s): the same for the same seed, however they are cut.

    Inversion: a Poisson process of rate 1, its time read off the integral of the rate (Çinlar 1975, Introduction to
    Stochastic Processes). Rates of 0 have no arrivals.
    """
    gaps, times = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    integral = _Integral(profile)
    at = 0.0
    while True:
        hazard = gaps.standard_exponential(chunk)
        hazard[0] += at
        np.cumsum(hazard, out=hazard)
        at = float(hazard[-1])
        arrival_s = integral.time_of(hazard)
        service_s = service.draw(chunk, times)
        if arrival_s[-1] >= horizon_s:
            inside = int(np.searchsorted(arrival_s, horizon_s))
            yield arrival_s[:inside], service_s[:inside]
            return
        yield arrival_s, service_s


class _Integral:
    """The integral of a repeated profile, and its inverse."""

    def __init__(self, profile: RateProfile) -> None:
        rates = np.array(profile.rate_per_s, np.float64)
        steps = np.flatnonzero(rates)  # a step without arrivals takes no hazard: it is jumped over
        self._rate = rates[steps]
        self._begin_s = steps * profile.step_s
        self._begin = np.concatenate([[0.0], np.cumsum(self._rate * profile.step_s)])
        self._period_s = len(rates) * profile.step_s
        self._constant = len(set(profile.rate_per_s)) == 1

    def time_of(self, hazard: FloatArray) -> FloatArray:
        """(n,) -> (n,) s."""
        if self._constant:
            return hazard / float(self._rate[0])
        whole = self._begin[-1]
        period = np.floor(hazard / whole)
        rest = hazard - period * whole
        step = np.clip(np.searchsorted(self._begin, rest, side="right") - 1, 0, len(self._rate) - 1)
        time_s: FloatArray = (
            period * self._period_s + self._begin_s[step] + (rest - self._begin[step]) / self._rate[step]
        )
        return time_s
