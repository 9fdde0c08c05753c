"""Memory is read from the files of both cgroup versions and from the processes themselves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from target_service.replica.memory import find_cgroup, kept_bytes

MB = 2**20


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_version_2_counts_usage_without_the_inactive_page_cache(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/pod/replica"
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/pod/replica\n",
            f"{group}/memory.max": "1048576000\n",
            f"{group}/memory.current": "524288000\n",
            f"{group}/memory.stat": "anon 1\ninactive_file 104857600\nactive_file 5\n",
        },
    )
    found = find_cgroup(root)
    assert found is not None
    assert (found.version, found.limit_bytes, found.usage_bytes()) == (2, 1000 * MB, 400 * MB)


def test_version_1_counts_the_same_under_other_names_and_takes_a_huge_number_for_no_limit(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/memory"
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "7:cpu:/x\n3:memory:/docker/abc\n",
            f"{group}/memory.limit_in_bytes": str(100 * MB),
            f"{group}/memory.usage_in_bytes": str(50 * MB),
            f"{group}/memory.stat": f"inactive_file 1\ntotal_inactive_file {10 * MB}\n",
        },
    )
    found = find_cgroup(root)
    assert found is not None
    assert (found.version, found.limit_bytes, found.usage_bytes()) == (1, 100 * MB, 40 * MB)
    write(root, {f"{group}/memory.limit_in_bytes": "9223372036854771712"})
    assert find_cgroup(root) is None


def test_the_innermost_group_that_has_a_limit_counts(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/pod/replica\n",
            "sys/fs/cgroup/pod/replica/memory.max": "max\n",
            "sys/fs/cgroup/pod/memory.max": "7\n",
        },
    )
    found = find_cgroup(root)
    assert found is not None
    assert found.limit_bytes == 7


@pytest.mark.parametrize("text", ["", "0::/nowhere\n"])
def test_without_a_limit_there_is_no_group(tmp_path: Path, text: str) -> None:
    assert find_cgroup(write(tmp_path, {"proc/self/cgroup": text})) is None
    assert find_cgroup(tmp_path / "nothing") is None


def test_memory_of_processes_is_added_and_grows_with_what_is_touched() -> None:
    before = kept_bytes([os.getpid()])
    held = b"\x01" * (32 * MB)
    assert before + 28 * MB < kept_bytes([os.getpid()])
    assert kept_bytes([os.getpid(), os.getpid()]) > 1.9 * kept_bytes([os.getpid()])
    assert kept_bytes([2**22 + 1]) == 0
    assert len(held) == 32 * MB
