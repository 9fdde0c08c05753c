"""Memory of the control group, as both versions of the kernel's interface tell it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from target_service.observability.memory import GroupMemory, group_memory, resident_bytes, system_memory_share


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


V2 = {"proc/self/cgroup": "0::/job\n", "sys/fs/cgroup/job/memory.current": "5\n"}
V1 = {"proc/self/cgroup": "3:cpu,memory:/job\n", "sys/fs/cgroup/memory/job/memory.usage_in_bytes": "5\n"}


@pytest.mark.parametrize(
    ("files", "limit_bytes"),
    [
        (V2 | {"sys/fs/cgroup/job/memory.max": "9\n"}, 9),
        (V2 | {"sys/fs/cgroup/job/memory.max": "max\n"}, None),
        (V1 | {"sys/fs/cgroup/memory/job/memory.limit_in_bytes": "9\n"}, 9),
        (V1 | {"sys/fs/cgroup/memory/job/memory.limit_in_bytes": "9223372036854771712\n"}, None),
    ],
)
def test_both_versions_are_read_and_no_limit_is_none(
    tmp_path: Path, files: dict[str, str], limit_bytes: int | None
) -> None:
    assert group_memory(write(tmp_path, files)) == GroupMemory(5, limit_bytes)


def test_in_a_container_the_group_is_the_root(tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/memory.current": "5", "sys/fs/cgroup/memory.max": "9", "proc/self/cgroup": "0::/../x\n"}
    assert group_memory(write(tmp_path, files)) == GroupMemory(5, 9)


def test_where_nothing_can_be_read_nothing_is_said(tmp_path: Path) -> None:
    assert group_memory(tmp_path) is None
    assert system_memory_share(tmp_path) is None
    assert group_memory(write(tmp_path, {"proc/self/cgroup": "nonsense\n0::/gone\n"})) is None


def test_the_machines_share_is_what_is_not_available(tmp_path: Path) -> None:
    write(tmp_path, {"proc/meminfo": "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable: 250 kB\n"})
    assert system_memory_share(tmp_path) == 0.75


def test_the_memory_of_a_process_is_its_resident_set_and_of_one_that_has_ended_unknown(tmp_path: Path) -> None:
    (tmp_path / "proc/12").mkdir(parents=True)
    (tmp_path / "proc/12/statm").write_text("9000 250 80 1 0 300 0\n")
    assert resident_bytes(12, tmp_path) == 250 * os.sysconf("SC_PAGE_SIZE")
    (tmp_path / "proc/12/statm").write_text("0 0 0 0 0 0 0\n")  # a zombie
    assert resident_bytes(12, tmp_path) is None
    assert resident_bytes(13, tmp_path) is None
    assert (resident_bytes(os.getpid()) or 0) > 2**20
