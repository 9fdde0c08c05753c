"""What the kernel counts for a container, read from files as cgroup version 1 and version 2 lay them out."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.stack.containers.cgroup import Cgroup, cgroup_of
from harness.stack.resources import Memory, Processors

MIB = 2**20
NAME = "docker/a6e3"
ONE = {
    "memory/docker/a6e3/memory.usage_in_bytes": f"{300 * MIB}\n",
    "memory/docker/a6e3/memory.limit_in_bytes": f"{1024 * MIB}\n",
    "memory/docker/a6e3/memory.stat": f"cache 5\ninactive_file 7\ntotal_inactive_file {40 * MIB}\n",
    "memory/docker/a6e3/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    "cpu/docker/a6e3/cpu.stat": "nr_periods 90\nnr_throttled 30\nthrottled_time 2500000000\n",
    "cpu/docker/a6e3/cpu.cfs_quota_us": "150000\n",
    "cpu/docker/a6e3/cpu.cfs_period_us": "100000\n",
    "blkio/docker/a6e3/blkio.throttle.io_service_bytes": "254:0 Read 1097728\n254:0 Write 5\n7:0 Read 9\nTotal 14\n",
    "blkio/docker/a6e3/blkio.throttle.read_bps_device": "254:0 262144\n",
}
TWO = {
    "docker/a6e3/memory.current": f"{300 * MIB}\n",
    "docker/a6e3/memory.max": f"{1024 * MIB}\n",
    "docker/a6e3/memory.stat": f"anon 5\ninactive_file {40 * MIB}\n",
    "docker/a6e3/memory.events": "low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\n",
    "docker/a6e3/cpu.stat": "usage_usec 1\nnr_periods 90\nnr_throttled 30\nthrottled_usec 2500000\n",
    "docker/a6e3/cpu.max": "150000 100000\n",
    "docker/a6e3/io.stat": "7:0 rbytes=9 wbytes=0\n254:0 rbytes=1097728 wbytes=5 rios=8 wios=1\n",
    "docker/a6e3/io.max": "254:0 rbps=262144 wbps=max riops=max wiops=max\n",
}
OF_PROCESS = {
    1: f"9:name=systemd:/{NAME}\n7:blkio:/{NAME}\n4:memory:/{NAME}\n2:cpu,cpuacct:/{NAME}\n0::/{NAME}\n",
    2: f"0::/{NAME}\n",
}


def made(folder: Path, version: int, **changed: str) -> Cgroup:
    files = {**(ONE if version == 1 else TWO)}
    files |= {next(path for path in files if path.endswith(name)): text for name, text in changed.items()}
    for name, text in files.items():
        path = folder / "sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    process = folder / "proc" / "12"
    process.mkdir(parents=True)
    (process / "cgroup").write_text(OF_PROCESS[version])
    found = cgroup_of(12, folder / "proc", folder / "sys")
    assert found is not None and found.version == version
    return found


both = pytest.mark.parametrize("version", [1, 2])


@both
def test_memory_in_use_is_without_the_files_that_the_kernel_would_drop(tmp_path: Path, version: int) -> None:
    memory = made(tmp_path, version).memory()
    assert memory == Memory(1024 * MIB, 260 * MIB, 2)
    assert memory.share == 260 / 1024


@pytest.mark.parametrize(
    ("version", "name", "text"),
    [(1, "memory.limit_in_bytes", "9223372036854771712\n"), (2, "memory.max", "max\n")],
)
def test_no_limit_on_memory_is_said_to_be_none(tmp_path: Path, version: int, name: str, text: str) -> None:
    memory = made(tmp_path, version, **{name: text}).memory()
    assert memory is not None and memory.limit_bytes is None and memory.share == 0.0


@both
def test_a_quota_counts_processors_and_waiting_seconds(tmp_path: Path, version: int) -> None:
    assert made(tmp_path, version).processors() == Processors(1.5, 90, 30, 2.5)


@pytest.mark.parametrize(("version", "name", "text"), [(1, "cpu.cfs_quota_us", "-1\n"), (2, "cpu.max", "max 100000\n")])
def test_no_quota_is_said_to_be_none(tmp_path: Path, version: int, name: str, text: str) -> None:
    found = made(tmp_path, version, **{name: text}).processors()
    assert found is not None and found.limit is None


@both
def test_reads_are_those_of_one_disk_with_its_limit(tmp_path: Path, version: int) -> None:
    group = made(tmp_path, version)
    assert group.read_bytes("254:0") == 1097728
    assert group.read_limit("254:0") == 262144
    assert group.read_limit("7:0") is None


@pytest.mark.parametrize(
    ("version", "name", "on", "off"),
    [
        (1, "blkio.throttle.read_bps_device", "254:0 1024", "254:0 0"),
        (2, "io.max", "254:0 rbps=1024", "254:0 rbps=max"),
    ],
)
def test_a_limit_on_reads_is_one_line_to_one_file(tmp_path: Path, version: int, name: str, on: str, off: str) -> None:
    group = made(tmp_path, version)
    path, order = group.read_limit_order("254:0", 1024)
    assert (path.name, order) == (name, on)
    assert group.read_limit_order("254:0", None)[1] == off


@both
def test_a_container_that_has_gone_says_nothing(tmp_path: Path, version: int) -> None:
    group = made(tmp_path, version)
    for path in sorted((tmp_path / "sys").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert group.memory() is None
    assert group.processors() is None
    assert group.read_bytes("254:0") is None
    assert cgroup_of(12, tmp_path / "proc", tmp_path / "sys") is None
    assert cgroup_of(13, tmp_path / "proc", tmp_path / "sys") is None
