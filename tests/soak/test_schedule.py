"""The order, the moments and the gaps of trials."""

from __future__ import annotations

import dataclasses

import pytest

from harness.model.errors import ScenarioError
from harness.soak.real_time import LEAD_S, draw_moments, leg_schedule, next_leg
from harness.soak.schedule import draw_night, types_by_faults
from tests.soak.trials import soak_file


def test_a_night_is_balanced_shuffled_and_the_same_for_the_same_seed() -> None:
    night = draw_night(soak_file(), "a", 3600)
    assert night.types.count("crash") == night.types.count("hang") == night.trials_per_type >= 30
    assert night == draw_night(soak_file(), "a", 3600)
    assert night.types != draw_night(soak_file(), "b", 3600).types
    assert {night.types[i : i + 2] for i in range(0, 60, 2)} == {("crash", "hang"), ("hang", "crash")}


def test_each_episode_has_the_faults_of_its_type_alone() -> None:
    soak = soak_file()
    night = draw_night(soak, "a", 1800)
    names = types_by_faults(soak)
    for episode, name in enumerate(night.types, start=1):
        mine = frozenset(s.fault for s in night.steps if s.episode == episode and s.action == "inject")
        assert names[mine] == name


def test_gaps_are_drawn_between_their_bounds_and_the_fault_free_stretch_comes_first() -> None:
    soak = soak_file()
    night = draw_night(soak, "a", 3600)
    assert night.windows[0].end_s == soak.measure.fault_free_s
    recovery = [w for w in night.windows if w.phase == "recovery"]
    gaps = [w.end_s - w.begin_s - soak.measure.trial_s for w in recovery]
    assert min(gaps) >= soak.measure.gap_s_min and max(gaps) <= soak.measure.gap_s_max
    assert max(gaps) - min(gaps) > 3


def test_a_budget_too_short_for_one_trial_of_each_type_says_what_is_needed() -> None:
    with pytest.raises(ScenarioError, match=r"too short for one trial of each type: 6\.\d min are needed"):
        draw_night(soak_file(), "a", 60)


def test_real_time_has_faults_at_their_rates() -> None:
    moments = draw_moments(soak_file(), 24 * 300, "s")
    counts = [sum(name == one for _, name in moments) for one in ("crash", "hang")]
    assert 15 <= counts[0] <= 50 and 8 <= counts[1] <= 36  # 30 and 20 are expected
    assert list(moments) == sorted(moments)


def test_legs_cover_the_schedule_and_lose_no_fault_wherever_they_break_off() -> None:
    soak = soak_file()
    moments = [(10.0, "crash"), (599.0, "hang"), (601.0, "crash"), (900.0, "hang"), (1799.0, "crash")]
    at_s, injected, number = 0.0, 0, 0
    while (leg := next_leg(soak, moments[injected:], at_s, (1800.0, 600.0), number)) is not None:
        assert all(one[0] >= leg.begin_s + LEAD_S for one in leg.moments)
        schedule = leg_schedule(soak, leg)
        assert len(schedule.types) == len(leg.moments) and schedule.duration_s == leg.end_s - leg.begin_s
        broken_off = number == 0
        injected += 0 if broken_off else len(leg.moments)
        at_s = leg.begin_s + 20.0 if broken_off else leg.end_s
        number += 1
    assert injected == len(moments)
    assert at_s >= 1800.0


def test_a_leg_without_a_fault_is_one_stretch() -> None:
    soak = soak_file()
    leg = next_leg(soak, [], 0.0, (100.0, 60.0), 1)
    assert leg is not None
    schedule = leg_schedule(soak, leg)
    assert schedule.types == () and schedule.duration_s == 60.0


def test_a_run_that_ended_some_milliseconds_early_is_over() -> None:
    """A real leg never ends at its planned microsecond, and one of a millisecond could not even begin."""
    assert next_leg(soak_file(), [], 99.98, (100.0, 60.0), 2) is None
    assert next_leg(soak_file(), [], 90.0, (100.0, 60.0), 2) is not None


def test_busy_faults_fall_in_busy_hours() -> None:
    soak = soak_file()
    hours = tuple(10.0 if 8 <= hour < 20 else 0.1 for hour in range(24))
    busy = dataclasses.replace(soak.faults[0], when="busy")
    soak = dataclasses.replace(soak, faults=(busy,), week=dataclasses.replace(soak.week, hours=hours))
    moments = draw_moments(soak, 24 * 300, "s")
    day = [8 <= at_s % 86_400 / 3600 < 20 for at_s, _ in moments]
    assert len(day) > 10 and sum(day) / len(day) > 0.9
