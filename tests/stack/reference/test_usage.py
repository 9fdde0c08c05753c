"""What /proc says of a process and its children."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.stack.owned import ProcessId
from harness.stack.reference import usage
from harness.stack.reference.usage import spare_mb, usage_of
from harness.stack.service import metric

TICKS = os.sysconf("SC_CLK_TCK")
PAGES_OF_A_MIB = 2**20 // os.sysconf("SC_PAGE_SIZE")


def add(proc: Path, pid: int, parent: int, cpu_s: tuple[int, int], mib: int) -> None:
    folder = proc / str(pid)
    folder.mkdir()
    fields = ["S", str(parent), *["0"] * 9, str(cpu_s[0] * TICKS), str(cpu_s[1] * TICKS), *["0"] * 6, str(50 * TICKS)]
    (folder / "stat").write_text(f"{pid} (a name) with) {' '.join(fields)}\n")
    (folder / "statm").write_text(f"9999 {mib * PAGES_OF_A_MIB} 1 1 0 1 0\n")


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "uptime").write_text("80.50 100.00\n")
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    2048 kB\n")
    (tmp_path / "self").mkdir()
    add(tmp_path, 10, 1, (2, 1), 100)
    add(tmp_path, 11, 10, (5, 0), 30)
    add(tmp_path, 12, 11, (0, 1), 7)
    add(tmp_path, 13, 1, (99, 99), 999)
    monkeypatch.setattr(usage, "identify", lambda pid: ProcessId(pid, 50 * TICKS))
    return tmp_path


def test_what_a_process_uses_is_what_it_and_all_its_descendants_use(proc: Path) -> None:
    found = usage_of(ProcessId(10, 50 * TICKS), proc)
    assert found is not None
    assert (found.age_s, found.cpu_s, found.resident_mb) == pytest.approx((30.5, 9.0, 137.0))
    assert found.members == {(pid, 50 * TICKS) for pid in (10, 11, 12)}


def test_a_process_that_has_gone_uses_nothing_and_a_later_one_with_its_pid_is_another(proc: Path) -> None:
    assert usage_of(ProcessId(10, 49 * TICKS), proc) is None


def test_what_the_host_can_spare_is_what_the_kernel_calls_available(proc: Path) -> None:
    assert spare_mb(proc) == 2.0


def test_a_metric_is_found_by_its_whole_name() -> None:
    text = b'# HELP target_running x\ntarget_running_max 8.0\ntarget_running 3.0\ntarget_x{a="b"} 1.0\n'
    assert metric(text, "target_running") == 3.0
    assert metric(b"HTTP/1.1 200 OK\r\n\r\ntarget_running 2.0\r\n", "target_running") == 2.0
    assert metric(text, "target_x") is None
