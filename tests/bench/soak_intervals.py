"""Do the soak's intervals hold? Truth that is known, thirty trials of it, and what is claimed from them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.analysis.intervals import rate, recovery_quantile
from harness.model.soak import FaultRate, FaultType, SoakFile
from harness.model.verdict import Interval
from harness.soak.costs import mean_interval
from harness.soak.months import DAY_S, evaluate, project_months
from harness.soak.rates import count_bounds
from harness.soak.sample import Sample, TypeSample
from tests.bench.figure import Figure, Goal

REPETITIONS, MONTHS, N = 2000, 1000, 30
PER_MONTH = 10.0  # faults, in truth; counted over three months
EXPOSURE_DAYS = 90.0
NEW_MONTHS = 200_000
CHEAP = 10  # times as many repetitions for intervals that cost next to nothing
KINDS = ("exponential", "lognormal")
GOALS = (
    *(Goal(f"soak_exact_intervals_{kind}", ">=", 95, "%") for kind in KINDS),
    *(Goal(f"soak_month_interval_low_{kind}", ">=", 93, "%") for kind in KINDS),
    *(Goal(f"soak_month_interval_high_{kind}", "<=", 97, "%") for kind in KINDS),
    *(Goal(f"soak_mean_interval_n60_{kind}", ">=", 90, "%") for kind in KINDS),
)
Floats = np.ndarray


@dataclass(frozen=True)
class Coverage:
    """Shares of repetitions in which the truth lay inside."""

    exact: float  # the least of: event count, success rate, median recovery
    month: float  # of new months in the 95 % prediction interval
    mean: float  # of the true mean in the interval from 60 trials


def figures() -> list[Figure]:
    found = {kind: coverage(kind, REPETITIONS, MONTHS, seed=1) for kind in KINDS}
    for kind, one in found.items():
        print(f"soak_intervals: {kind}: {one}", file=sys.stderr)
    values = [
        *(found[kind].exact for kind in KINDS),
        *(found[kind].month for kind in KINDS),
        *(found[kind].month for kind in KINDS),
        *(found[kind].mean for kind in KINDS),
    ]
    how = f"{REPETITIONS} repetitions, n = {N}, {PER_MONTH:g} faults a month"
    return [goal.figure(100 * value, how) for goal, value in zip(GOALS, values, strict=True)]


def coverage(kind: str, repetitions: int, months: int, seed: int) -> Coverage:
    """Draw trials and counts from the truth, ask for intervals, look whether they hold."""
    rng = np.random.default_rng(seed)
    draw: Callable[[int], Floats] = {
        "exponential": lambda size: np.asarray(rng.exponential(1.0, size)),
        "lognormal": lambda size: np.asarray(rng.lognormal(0.0, 1.0, size)),
    }[kind]
    truth = {"exponential": (1.0, np.log(2)), "lognormal": (float(np.exp(0.5)), 1.0)}[kind]
    new_months = _new_months(draw, rng)
    exact = np.mean([_exact(draw, truth[1], rng) for _ in range(CHEAP * repetitions)], axis=0)
    dear = np.mean([_projected(draw, truth[0], new_months, (months, n), rng) for n in range(repetitions)], axis=0)
    return Coverage(float(exact.min()), float(dear[0]), float(dear[1]))


def _new_months(draw: Callable[[int], Floats], rng: np.random.Generator) -> Floats:
    """What months lose in truth, sorted: an interval's coverage is read off them, without the luck of a single one."""
    faults = rng.poisson(PER_MONTH, NEW_MONTHS)
    return np.sort(np.bincount(np.repeat(np.arange(NEW_MONTHS), faults), draw(int(faults.sum())), NEW_MONTHS))


def _exact(draw: Callable[[int], Floats], median: float, rng: np.random.Generator) -> tuple[bool, bool, bool]:
    """Whether the exact intervals of a count, of a success rate and of the median of n trials hold."""
    mean = PER_MONTH * EXPOSURE_DAYS / 30
    low, high = count_bounds(int(rng.poisson(mean)))
    share = rate(int(rng.binomial(3000, 0.999)), 3000)
    middle = recovery_quantile([Interval(v, v) for v in draw(N)], 0.5, 0.975)
    assert share.low is not None and share.high is not None and middle.low is not None and middle.high is not None
    return low <= mean <= high, share.low <= 0.999 <= share.high, middle.low <= median <= middle.high


def _projected(
    draw: Callable[[int], Floats], mean: float, new_months: Floats, how: tuple[int, int], rng: np.random.Generator
) -> tuple[float, bool]:
    """The share of new months that the prediction interval holds; whether the mean's interval holds."""
    months, number = how
    costs, events = draw(N), int(rng.poisson(PER_MONTH * EXPOSURE_DAYS / 30))
    low, high = np.searchsorted(new_months, _month_interval(costs, events, months, number))
    mean_low, mean_high = mean_interval(draw(60), 0.95, np.random.default_rng(number))
    return float(high - low) / NEW_MONTHS, mean_low <= mean <= mean_high


def _month_interval(costs: Floats, events: int, months: int, seed: int) -> tuple[float, float]:
    """By the projection itself."""
    fault = FaultType(name="x", rate=FaultRate(events=events, exposure_days=EXPOSURE_DAYS, source="truth"))
    n = costs.size
    zeros = np.zeros(n)
    one = TypeSample(fault, (None,) * n, costs, costs, zeros, zeros, n, 0, 0)  # type: ignore[arg-type]
    sample = Sample((), (), (one,), 1, 0, 1.0, np.zeros(0), ())
    lost_s = evaluate(project_months(SoakFile(name="x", days=30, faults=(fault,)), sample, seed, months))["lost_s"]
    assert lost_s.max() < 30 * DAY_S
    low, high = np.quantile(lost_s, [0.025, 0.975])
    return float(low), float(high)
