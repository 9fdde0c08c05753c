"""Changes over nights: found where they are, with few false alarms however many series are watched."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from harness.soak.changes import Summary, _best_split, _gains, _rank_sum_chances, _ranks, compare_nights, discoveries

pytestmark = pytest.mark.whole


def nights_of(columns: dict[str, np.ndarray]) -> list[Summary]:
    length = len(next(iter(columns.values())))
    return [
        Summary(
            f"2026-{1 + at // 28:02}-{1 + at % 28:02}T01:00:00+00:00", f"b{at}",
            {name: None if math.isnan(column[at]) else float(column[at]) for name, column in columns.items()},
        )
        for at in range(length)
    ]  # fmt: skip


def quiet(rng: np.random.Generator, series: int, length: int) -> dict[str, np.ndarray]:
    """Nights without a change: half of the series skewed, as recovery times are."""
    normal, skewed = rng.normal(5, 1, (series // 2, length)), rng.lognormal(1, 1, (series - series // 2, length))
    return {f"s{number:02}": row for number, row in enumerate([*normal, *skewed])}


def test_without_a_change_alarms_are_as_rare_as_promised() -> None:
    rng = np.random.default_rng(1)
    runs = 60
    alarms = sum(bool(compare_nights(nights_of(quiet(rng, 20, 24)), seed).changes) for seed in range(runs))
    assert alarms / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)
    # Asked one by one at 5 %, 20 series would raise an alarm in two of three nights.


def test_among_real_changes_few_are_false() -> None:
    rng = np.random.default_rng(2)
    false = found = missed = 0
    for seed in range(25):
        columns = quiet(rng, 16, 30)
        for name in ("s00", "s01", "s08", "s09"):
            columns[name][18:] *= 3.0
        seen = {change.series for change in compare_nights(nights_of(columns), seed).changes}
        found += len(seen)
        false += len(seen - {"s00", "s01", "s08", "s09"})
        missed += len({"s00", "s01"} - seen)
    assert found >= 50 and false / found <= 0.1 and missed == 0


def test_a_change_is_told_with_its_night_size_and_direction() -> None:
    rng = np.random.default_rng(3)
    columns = quiet(rng, 10, 30)
    columns["s00"] = np.r_[rng.normal(3, 0.2, 20), rng.normal(5, 0.2, 10)]
    columns["s01"] = np.r_[rng.normal(3, 0.2, 12), rng.normal(1, 0.2, 18)]
    found = compare_nights(nights_of(columns), 1)
    assert found.series == 10 and not found.not_asked
    later, earlier = (next(c for c in found.changes if c.series == name) for name in ("s00", "s01"))
    assert (later.night, later.direction, later.build) == (20, "up", "b20")
    assert (earlier.night, earlier.direction) == (12, "down")
    assert later.size.low is not None and later.size.high is not None and later.size.value is not None
    assert later.size.low < 2 < later.size.high and abs(later.size.value - 2) < 0.3
    assert later.before == pytest.approx(3, abs=0.2) and later.after == pytest.approx(5, abs=0.2)


def test_a_second_change_is_found_behind_the_first() -> None:
    rng = np.random.default_rng(4)
    columns = {"a": np.repeat([3.0, 6.0, 2.0], 14) + rng.normal(0, 0.3, 42)}
    found = compare_nights(nights_of(columns), 1)
    assert [(change.night, change.direction) for change in found.changes] == [(14, "up"), (28, "down")]


def test_one_bad_night_is_no_change() -> None:
    rng = np.random.default_rng(5)
    columns = {f"s{n}": rng.normal(3, 0.2, 25) for n in range(5)}
    columns["s0"][12] = 300
    columns["s1"][-1] = 300
    assert not compare_nights(nights_of(columns), 1).changes


def test_series_that_say_too_little_are_named_with_the_reason() -> None:
    few = np.where(np.arange(20) < 11, np.nan, np.arange(20.0))
    found = compare_nights(nights_of({"few": few, "flat": np.full(20, 3.0), "holes": few[::-1] * 0 + 1}), 1)
    assert found.not_asked == {
        "few": "9 nights have a value, 10 needed",
        "flat": "the same in all 20 nights",
        "holes": "9 nights have a value, 10 needed",
    }
    assert compare_nights([], 1).changes == ()


def test_nights_without_a_value_do_not_shift_the_night_of_a_change() -> None:
    rng = np.random.default_rng(6)
    column = np.r_[rng.normal(3, 0.2, 20), rng.normal(5, 0.2, 20)]
    column[[2, 5, 9, 25]] = np.nan
    (change,) = compare_nights(nights_of({"a": column}), 1).changes
    assert change.night == 20


def test_the_same_seed_gives_the_same_comparison() -> None:
    nights = nights_of(quiet(np.random.default_rng(7), 8, 30))
    assert compare_nights(nights, 5) == compare_nights(nights, 5)


def test_ruptures_finds_the_split_whose_gain_the_permutations_are_held_against() -> None:
    rng = np.random.default_rng(8)
    for length in (10, 17, 40):
        values = rng.lognormal(0, 1, length)
        assert _best_split(values) == 3 + int(_gains(_ranks(values)[None, :])[0].argmax())


def test_the_rank_sums_chances_are_those_of_all_orders() -> None:
    m, n = 3, 4
    counts = np.zeros(m * n + 1)
    for chosen in itertools.combinations(range(m + n), m):
        counts[sum(chosen) - m * (m - 1) // 2] += 1
    assert _rank_sum_chances(m, n) == pytest.approx(counts / counts.sum())
    assert _rank_sum_chances(30, 30).sum() == pytest.approx(1)
    assert _rank_sum_chances(1, 4) == pytest.approx(np.full(5, 0.2))


def test_the_shifts_interval_covers_when_the_night_is_known() -> None:
    from harness.soak.changes import _shift

    rng = np.random.default_rng(9)
    covered = 0
    for _ in range(400):
        size = _shift(rng.lognormal(0, 0.5, 15), rng.lognormal(0, 0.5, 9) + 1, 0.95)
        assert size.low is not None and size.high is not None
        covered += size.low <= 1 <= size.high
    assert covered / 400 > 0.92
    assert _shift(np.arange(3.0), np.arange(3.0), 0.99).low is None


@pytest.mark.parametrize(
    ("p_values", "rejected"),
    [
        ([], []),
        ([0.04], [0]),
        ([0.06], []),
        ([0.001, 0.2, 0.02, 0.9], [0, 2]),
        ([0.03, 0.03, 0.03, 0.04], [0, 1, 2, 3]),  # step-up: the largest carries the others
    ],
)
def test_benjamini_and_hochberg_reject_by_stepping_up(p_values: list[float], rejected: list[int]) -> None:
    assert discoveries(p_values, 0.05) == rejected
