"""Which container ran out of memory, by lines of the kernel's log as it writes them."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from harness.stack.containers.kernel_log import memory_kills

ID, OTHER = "8d42876b4640", "a1adcbd163c2"


def line(group: str, constraint: str = "CONSTRAINT_MEMCG") -> str:
    """As of kernel 6.18, behind priority, sequence, microseconds since boot and flags."""
    what = f"oom-kill:constraint={constraint},nodemask=(null),cpuset={OTHER},mems_allowed=0"
    return f"6,1234,36960426169,-;{what},oom_memcg={group},task_memcg={group},task=python3,pid=10398,uid=10001\n"


@pytest.mark.parametrize(
    ("group", "kills"),
    [
        (f"/docker/{ID}", 1),
        (f"/system.slice/docker-{ID}.scope", 1),
        (f"/docker/{ID}/inner", 1),
        (f"/docker/{OTHER}", 0),
        ("/", 0),
    ],
)
def test_a_kill_counts_for_the_container_whose_memory_ran_out(tmp_path: Path, group: str, kills: int) -> None:
    log = tmp_path / "kmsg"
    log.write_text(line(group))
    assert memory_kills(ID, log) == kills


def test_a_kill_because_the_host_ran_out_is_not_the_containers(tmp_path: Path) -> None:
    log = tmp_path / "kmsg"
    log.write_text(line(f"/docker/{ID}", "CONSTRAINT_NONE"))
    assert memory_kills(ID, log) == 0


def test_each_record_is_read_and_its_end_is_not_waited_for(tmp_path: Path) -> None:
    """Reading at the end of a log that somebody still writes is an error, as at the end of the kernel's."""
    log = tmp_path / "kmsg"
    os.mkfifo(log)
    records = [line(f"/docker/{ID}"), "6,1235,1,-;veth0: renamed\n", line(f"/docker/{ID}"), line(f"/docker/{OTHER}")]
    writer = os.open(log, os.O_RDWR | os.O_NONBLOCK)
    try:
        counts: list[int] = []
        read = threading.Thread(target=lambda: counts.append(memory_kills(ID, log)))
        os.write(writer, "".join(records).encode())
        read.start()
        read.join(timeout=5)
        assert not read.is_alive()
    finally:
        os.close(writer)
    assert counts == [2]


@pytest.mark.parametrize("name", ["none", "."])
def test_a_log_that_cannot_be_read_says_nothing(tmp_path: Path, name: str) -> None:
    assert memory_kills(ID, tmp_path / name) == 0
