"""What each server used: of the schedule only, over restarts, and nothing where nothing was told."""

from __future__ import annotations

import math

from harness.monitor.resource_use import resource_use
from harness.monitor.series import Series

MIB = 2**20
TIMES = tuple(float(at) for at in range(41))


def of(name: str, values: list[float], instance: str = "primary") -> Series:
    return Series(name, {"instance": instance}, TIMES[: len(values)], tuple(values))


def test_only_the_schedule_counts_and_the_baseline_is_its_begin() -> None:
    memory = of("resident_bytes", [9e3 * MIB] * 10 + [1e2 * MIB] * 10 + [3e2 * MIB] * 11 + [9e3 * MIB] * 10)
    (row,) = resource_use([of("up", [1.0] * 41), memory], 1.0, (10.0, 30.0), 19.0)
    assert (row.source, row.resident_mb_baseline, row.resident_mb_max) == ("primary", 100, 300)
    assert row.unseen_s == 0


def test_the_engines_memory_stands_beside_its_servers_and_is_nothing_where_it_was_not_told() -> None:
    up, server = of("up", [1.0] * 41), of("resident_bytes", [1e2 * MIB] * 41)
    engine = of("engine_resident_bytes", [4e2 * MIB] * 20 + [math.nan] * 5 + [6e2 * MIB] * 16)
    (row,) = resource_use([up, server, engine], 1.0, (10.0, 40.0), 19.0)
    assert (row.resident_mb_max, row.engine_mb_baseline, row.engine_mb_max) == (100, 400, 600)
    (row,) = resource_use([up, server], 1.0, (10.0, 40.0), 19.0)
    assert (row.engine_mb_baseline, row.engine_mb_max) == (None, None)


def test_processor_time_is_counted_over_a_restart() -> None:
    cpu = of("cpu_s_total", [50.0 + at for at in range(21)] + [float(at) for at in range(20)])
    (row,) = resource_use([of("up", [1.0] * 41), cpu], 1.0, (0.0, 40.0), 10.0)
    assert row.cpu_cores_mean is not None
    assert math.isclose(row.cpu_cores_mean, (20 + 19) / 40)


def test_a_server_that_was_not_scraped_for_a_while_says_for_how_long() -> None:
    up = of("up", [1.0] * 11 + [0.0] * 9 + [1.0] * 21)
    (row,) = resource_use([up], 1.0, (0.0, 40.0), 5.0)
    assert row.unseen_s == 10.0


def test_what_was_not_told_is_nothing_and_not_zero() -> None:
    (row,) = resource_use([of("up", [0.0] * 41)], 1.0, (0.0, 40.0), 5.0)
    assert (row.resident_mb_max, row.cpu_cores_mean, row.open_fds_max, row.running_max) == (None, None, None, None)
    assert row.unseen_s == 40.0


def test_each_server_has_a_row_and_a_series_of_nobody_has_none() -> None:
    rows = resource_use([of("up", [1.0], "b"), of("up", [1.0], "a"), Series("up")], 1.0, (0.0, 1.0), 0.0)
    assert [row.source for row in rows] == ["a", "b"]
