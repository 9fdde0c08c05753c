"""The guard's four levels, on fake readings and a fake clock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from target_service.replica import memory_guard
from target_service.replica.memory import Cgroup
from target_service.replica.memory_guard import Level, MemoryGuard, MemoryWatch, reading
from target_service.replica.process_settings import MemorySettings

SETTINGS = MemorySettings(soft_limit_mb=100, patience_s=5)


class Heard:
    """What the guard says, in order."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def collect(self) -> None:
        self.said.append("collect")

    def over(self, problem: str | None) -> None:
        self.said.append(f"over: {problem}")

    def lasting(self, problem: str) -> None:
        self.said.append(f"lasting: {problem}")


class Readings:
    """A reading and a time that the test sets."""

    share, now_s = 0.0, 100.0

    def guard(self, heard: Heard) -> MemoryGuard:
        return MemoryGuard(SETTINGS, lambda: self.share, heard, lambda: self.now_s)


def test_near_the_limit_garbage_is_collected_and_not_again_at_once() -> None:
    readings, heard = Readings(), Heard()
    guard = readings.guard(heard)
    for share, after_s in ((0.5, 0), (0.85, 1), (0.85, 1), (0.85, 10)):
        readings.share, readings.now_s = share, readings.now_s + after_s
        guard.look()
    assert heard.said == ["collect", "collect"]


def test_without_a_share_to_collect_at_nothing_happens_below_the_limit() -> None:
    assert MemoryWatch(0.0, patience_s=5).look(0, 0.99) is Level.FINE
    assert MemoryWatch(0.8, patience_s=5).look(0, 0.99) is Level.HIGH


def test_above_the_limit_requests_are_refused_until_it_is_below_again() -> None:
    readings, heard = Readings(), Heard()
    guard = readings.guard(heard)
    for share in (1.2, 1.3, 0.9):
        readings.share = share
        guard.look()
        readings.now_s += 1
    problem = "over: memory: 120% of the soft limit is used"
    assert heard.said == ["collect", problem, "over: None"]


def test_above_the_limit_for_too_long_the_replica_ends() -> None:
    readings, heard = Readings(), Heard()
    guard = readings.guard(heard)
    readings.share = 1.5
    levels = []
    for _ in range(6):
        levels.append(guard.look())
        readings.now_s += 1
    assert levels == [*[Level.OVER] * 5, Level.LASTING]
    assert heard.said[-1] == "lasting: memory: 150% of the soft limit is used"


def test_a_dip_below_the_limit_begins_the_patience_anew() -> None:
    watch = MemoryWatch(0.8, patience_s=5)
    assert [
        watch.look(now_s, share).value for now_s, share in ((0, 1.0), (4, 0.7), (6, 1.0), (10, 1.0), (11, 1.0))
    ] == [
        "over",
        "fine",
        "over",
        "over",
        "lasting",
    ]


def test_a_reading_that_fails_changes_nothing() -> None:
    def broken() -> float:
        raise OSError("gone")

    heard = Heard()
    assert MemoryGuard(SETTINGS, broken, heard, lambda: 0.0).look() is Level.FINE
    assert heard.said == []


def test_with_both_limits_the_one_that_is_nearer_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.current").write_text("600")
    (tmp_path / "memory.stat").write_text("inactive_file 100")
    monkeypatch.setattr(memory_guard, "find_cgroup", lambda: Cgroup(tmp_path, 2, 1000))
    kept: Callable[..., int] = lambda _: 30 * 2**20  # noqa: E731
    monkeypatch.setattr(memory_guard, "kept_bytes", kept)
    only_share = reading(MemorySettings(soft_limit_share=0.5), list)
    both = reading(MemorySettings(soft_limit_share=0.5, soft_limit_mb=20), list)
    assert only_share is not None
    assert both is not None
    assert (only_share(), both()) == (1.0, 1.5)


def test_a_share_of_no_limit_is_no_guard(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(memory_guard, "find_cgroup", lambda: None)
    assert reading(MemorySettings(soft_limit_share=0.5), list) is None
    assert "no cgroup limits the memory" in caplog.text
