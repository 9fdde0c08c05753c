"""Another host's clocks, from readings that took time."""

from __future__ import annotations

from harness.record.clock import FakeClock
from harness.stack.remote.clock import Offset, Reading, ShiftedClock, offset_of


def test_the_reading_with_the_shortest_way_says_how_far_the_clocks_are_apart_and_how_well_that_is_known() -> None:
    slow = Reading(before_s=10.0, after_s=11.0, wall_s=2011.0, far_s=110.9, far_wall_s=5010.9)
    fast = Reading(before_s=20.0, after_s=20.02, wall_s=2020.02, far_s=120.01, far_wall_s=5020.01)
    found = offset_of([slow, fast])
    assert abs(found.monotonic_s - 100.0) < 1e-9
    assert abs(found.wall_s - 3000.0) < 1e-9
    assert abs(found.error_s - 0.01) < 1e-9


def test_the_truth_lies_within_the_error_however_the_way_is_split() -> None:
    for there_s in (0.0, 0.1, 0.2, 0.3, 0.4):
        reading = Reading(50.0, 50.4, 0.0, 50.0 + there_s + 7.0, 0.0)
        found = offset_of([reading])
        assert abs(found.monotonic_s - 7.0) <= found.error_s + 1e-9


def test_a_shifted_clock_says_the_other_hosts_time_and_waits_on_its_own() -> None:
    clock = FakeClock(100.0)
    there = ShiftedClock(clock, Offset(monotonic_s=5.0, wall_s=-60.0))
    there.sleep(2.0)
    assert clock.now() == 102.0
    assert there.now() == 107.0
    assert there.wall_s() == clock.wall_s() - 60.0
