"""What a run's processes use: looked at now and then, written down, and read as series that may drift."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.campaign.drift_samples import sampled_in
from harness.campaign.use_watch import USE, UseWatch
from harness.load.progress import Progress
from harness.monitor.kept import METRICS, write_metrics
from harness.monitor.series import Series
from harness.session import Watcher


def process(proc: Path, pid: int, parent: int, words: str = "", uses: tuple[int, int] = (256, 3)) -> None:
    pages, fds = uses
    folder = proc / str(pid)
    (folder / "fd").mkdir(parents=True, exist_ok=True)
    for number in range(fds):
        (folder / "fd" / str(number)).touch()
    (folder / "stat").write_text(f"{pid} (a) b) S {parent} 0 0")
    (folder / "cmdline").write_bytes(b"\0".join(word.encode() for word in [*words.split(), ""]))
    (folder / "statm").write_text(f"999 {pages * 4096 // os.sysconf('SC_PAGE_SIZE')} 0")
    (folder / "limits").write_text(
        "Limit  Soft  Hard\nMax open files            1024                 4096       files\n"
    )


@pytest.fixture
def watch(tmp_path: Path) -> UseWatch:
    proc, me = tmp_path / "proc", os.getpid()
    (tmp_path / "run" / "stack" / "prometheus").mkdir(parents=True)
    (tmp_path / "run" / "stack" / "prometheus" / "wal").write_bytes(bytes(2**20))
    (tmp_path / "run" / "stack" / "primary.log").write_bytes(bytes(2**19))
    process(proc, me, 1)
    process(proc, 900001, me, "python -m harness.load.child x.json", (512, 3))
    process(proc, 900002, me, "python -m supervisor.supervisord -n")
    process(proc, 900003, 900002, "python -m target_service.replica --port 1 --name primary", (1024, 7))
    process(proc, 900004, 900003, "python -c spawn_main", (2048, 4))
    process(proc, 900006, me, "/usr/bin/prometheus --config.file=x", (256, 5))
    process(proc, 900005, 1, "python -m target_service.replica --name somebody-elses")
    (proc / "meminfo").write_text("MemTotal: 1 kB\nMemAvailable: 2048000 kB\n")
    return UseWatch(tmp_path / "run", proc)


def lines(tmp_path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (tmp_path / "run" / "stack" / USE).read_text().splitlines()]


def test_a_look_sees_the_run_s_own_family_by_name(watch: UseWatch, tmp_path: Path) -> None:
    watch.look(0.0)
    watch.close()
    (line,) = lines(tmp_path)
    me = os.getpid()
    assert line["processes"] == {
        "harness": [me, 1.0, 3, 1024],
        "child": [900001, 2.0, 3, 1024],
        "supervisord": [900002, 1.0, 3, 1024],
        "prometheus": [900006, 1.0, 5, 1024],
        "primary": [900003 + 900004, 12.0, 7, 1024],  # with its engine, a process of its own
    }
    assert line["target_disk_mb"] == 0.5 and line["available_mb"] == 2000


@pytest.mark.whole
def test_looks_become_rarer_and_never_end_the_run(watch: UseWatch, tmp_path: Path) -> None:
    told: list[float] = []
    beside = watch.beside(Watcher(print, lambda _, now_s: told.append(now_s), print, lambda: 0))
    for now_s in range(6000):
        beside.on_progress(Progress(), float(now_s))
    watch.close()
    assert len(told) == 6000
    at_s = [float(str(line["at_s"])) for line in lines(tmp_path)]
    assert at_s[1] - at_s[0] == 2 and at_s[-1] - at_s[-2] == 6 and len(at_s) < 2200
    nowhere = UseWatch(tmp_path / "there-is-no-run")
    nowhere.look(0.0)
    nowhere.close()


def test_a_full_disk_ends_the_looks_and_nothing_else(watch: UseWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    watch.look(0.0)
    monkeypatch.undo()
    watch.look(10.0)
    watch.close()


def written(folder: Path, pids: tuple[int, ...]) -> None:
    with (folder / USE).open("w") as file:
        for number, pid in enumerate(pids):
            use = {"primary": [pid, 100.0 + number, 7, 1024], "harness": [5, 50.0, 3, None]}
            line = {
                "at_s": 2.0 * number,
                "processes": use,
                "target_disk_mb": 1.0,
                "free_mb": 9.0,
                "available_mb": 400.0,
            }
            file.write(json.dumps(line) + "\n")
        file.write('{"at_s": 5')


def test_looks_are_series_with_their_limits_and_their_restarts(tmp_path: Path) -> None:
    written(tmp_path, (11, 11, 12))
    found, missing = sampled_in(tmp_path)
    by_key = {(one.source, one.quantity): one for one in found}
    memory = by_key["primary", "resident_mb"]
    assert list(memory.value) == [100, 101, 102] and memory.limit == 502 and memory.breaks_s == (4.0,)
    assert by_key["primary", "open_fds"].limit == 1024 and by_key["harness", "open_fds"].limit is None
    assert by_key["target", "disk_mb"].limit == 10 and by_key["harness", "resident_mb"].breaks_s == ()
    assert missing == ("cache: there was no Prometheus beside the run",)


def test_a_prometheus_adds_the_cache_and_whatever_no_look_reached(tmp_path: Path) -> None:
    written(tmp_path, (11, 11))
    at_s = (0.0, 1.0, 2.0)

    def series(name: str, instance: str, *value: float) -> Series:
        return Series(name, {"instance": instance}, at_s, value)

    write_metrics(tmp_path / METRICS, {"every_s": 1}, [
        series("cache_hits_total", "primary", 0, 1, 3), series("cache_lookups_total", "primary", 0, 4, 8),
        series("resident_bytes", "primary", 1, 1, 1), series("resident_bytes", "far", 2**20, 2**20, 2**21),
        series("cgroup_limit_bytes", "far", 2**30, 2**30, 2**30), series("cpu_s_total", "far", 5, 1, 2),
    ])  # fmt: skip
    found, missing = sampled_in(tmp_path)
    by_key = {(one.source, one.quantity): one for one in found}
    assert len(found) == len(by_key) and missing == ()
    assert list(by_key["primary", "cache_hit_share"].value) == [0, 1, 3]
    assert list(by_key["far", "resident_mb"].value) == [1, 1, 2]
    assert by_key["far", "resident_mb"].limit == 1024 and by_key["far", "resident_mb"].breaks_s == (1.0,)


def test_a_run_of_which_nothing_was_sampled_says_so(tmp_path: Path) -> None:
    found, missing = sampled_in(tmp_path)
    assert found == () and len(missing) == 2 and "as in containers" in missing[0]


def test_where_only_the_harness_was_looked_at_the_target_is_said_to_be_unseen(tmp_path: Path) -> None:
    use = {"harness": [5, 50.0, 3, None], "toxics": [6, 40.0, 9, 1024]}
    line = {"at_s": 2.0, "processes": use, "target_disk_mb": 1.0, "free_mb": 9.0, "available_mb": 400.0}
    (tmp_path / USE).write_text(json.dumps(line) + "\n")
    _, missing = sampled_in(tmp_path)
    assert "memory and descriptors of the target" in missing[0]
