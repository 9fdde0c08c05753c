"""A log file under every disk that there is: small, full, old, gone, and one that hangs."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import pytest

from target_service.observability import logs as logs_module
from target_service.observability.log_file import DAY_S, RETRY_S, CappedFileHandler
from target_service.observability.logs import Logs
from target_service.observability.settings import ObservabilitySettings


class Wall:
    """Wall time in seconds, as far on as the test says."""

    def __init__(self) -> None:
        self.now_s = time.time()

    def __call__(self) -> float:
        return self.now_s


def line(text: str) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": text})


@contextmanager
def handler_at(path: Path, max_bytes: int = 0, keep_days: float = 0.0) -> Iterator[tuple[CappedFileHandler, Wall]]:
    wall = Wall()
    handler = CappedFileHandler(path, max_bytes, keep_days, clock=wall)
    yield handler, wall
    handler.close()


def test_all_pieces_together_never_exceed_the_limit_and_the_newest_line_is_there(tmp_path: Path) -> None:
    with handler_at(tmp_path / "a.log", max_bytes=8000) as (handler, _):
        for number in range(2000):
            handler.handle(line(f"line {number}"))
            if number % 100 == 0:
                assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 8000
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) > 6000
    assert (tmp_path / "a.log").read_text().endswith("line 1999\n")
    assert handler.dropped_total == 0


def test_a_line_longer_than_the_file_may_be_is_dropped_and_counted(tmp_path: Path) -> None:
    with handler_at(tmp_path / "a.log", max_bytes=800) as (handler, _):
        handler.handle(line("x" * 101))
    assert handler.dropped_total == 1


def test_a_file_is_rotated_after_a_day_and_removed_after_a_week(tmp_path: Path) -> None:
    (tmp_path / "a.log.notes").write_text("not ours")
    with handler_at(tmp_path / "a.log", keep_days=7) as (handler, wall):
        handler.handle(line("old"))
        wall.now_s += DAY_S + 1
        handler.handle(line("new"))
        assert (tmp_path / "a.log.1").read_text() == "old\n"
        assert (tmp_path / "a.log").read_text() == "new\n"
        wall.now_s += 7 * DAY_S
        handler.remove_old()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.log.notes"]


def test_a_removed_file_is_made_again(tmp_path: Path) -> None:
    with handler_at(tmp_path / "logs" / "a.log") as (handler, _):
        handler.handle(line("one"))
        (tmp_path / "logs" / "a.log").unlink()
        (tmp_path / "logs").rmdir()
        handler.handle(line("two"))
    assert (tmp_path / "logs" / "a.log").read_text() == "two\n"


def test_a_full_disk_loses_lines_counts_them_and_is_forgotten_when_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.symlink_to("/dev/full")
    with handler_at(path) as (handler, wall):
        for _ in range(5):
            handler.handle(line("lost"))
        assert handler.dropped_total == 5
        path.unlink()
        handler.handle(line("too early to look again"))
        wall.now_s += RETRY_S + 0.1
        handler.handle(line("here"))
    assert path.read_text() == "here\n"
    assert handler.dropped_total == 6


def test_half_a_line_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    with handler_at(tmp_path / "a.log") as (handler, wall):
        handler.handle(line("whole"))
        monkeypatch.setattr(os, "write", lambda number, data: write(number, data[:3]))
        handler.handle(line("half"))
        monkeypatch.undo()
        wall.now_s += RETRY_S + 0.1
        handler.handle(line("again"))
    assert (tmp_path / "a.log").read_text() == "whole\nagain\n"
    assert handler.dropped_total == 1


def test_a_folder_that_cannot_be_made_loses_lines_only_with_the_guard(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    guarded = Logs(ObservabilitySettings(log_dir=tmp_path / "file" / "logs"), "replica-a")
    guarded.write("access", {"status": 200})
    guarded.close()
    assert guarded.dropped_total == 1
    fragile = Logs(ObservabilitySettings(log_dir=tmp_path / "file" / "logs", log_guard=False), "replica-a")
    with pytest.raises(OSError, match="Not a directory"):
        fragile.write("access", {"status": 200})


@pytest.mark.parametrize("guard", [True, False])
def test_a_full_disk_fails_only_who_logs_without_the_guard(tmp_path: Path, *, guard: bool) -> None:
    (tmp_path / "replica-a.access.log").symlink_to("/dev/full")
    logs = Logs(ObservabilitySettings(log_dir=tmp_path, log_guard=guard), "replica-a")
    with nullcontext() if guard else pytest.raises(OSError, match="No space left"):
        logs.write("access", {"status": 200})
    logs.close()
    assert logs.dropped_total == (1 if guard else 0)


@pytest.mark.process
@pytest.mark.parametrize("guard", [True, False])
def test_a_disk_that_hangs_stops_only_a_service_without_the_guard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, guard: bool
) -> None:
    monkeypatch.setattr(logs_module, "WAITING_MAX", 1000)
    monkeypatch.setattr(logs_module, "LAST_WORDS_S", 0.01)
    # A pipe that somebody holds open and nobody reads takes 64 KiB and then nothing, as a hanging disk does.
    pipe = tmp_path / "replica-a.access.log"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    logs = Logs(ObservabilitySettings(log_dir=tmp_path, log_guard=guard), "replica-a")
    done = threading.Event()

    def serve() -> None:
        for _ in range(3000):
            logs.write("access", {"path": "x" * 100})
        done.set()

    serving = threading.Thread(target=serve, daemon=True)
    serving.start()
    assert done.wait(10 if guard else 1) is guard
    if guard:
        assert logs.dropped_total >= 1000
        begin_s = time.monotonic()
        logs.close()
        assert time.monotonic() - begin_s < 5, "a disk that hangs must not keep a process alive"
    # The disk is well again: whoever waited goes on.
    give_up_s = time.monotonic() + 10
    while any(thread.is_alive() for thread in (serving, logs._writer) if thread) and time.monotonic() < give_up_s:
        with suppress(BlockingIOError):
            os.read(reader, 2**16)
        if guard and not done.is_set():
            continue
        if guard and logs._queue is not None and not logs._queue.full():
            logs._queue.put(None)
        time.sleep(0.001)
    assert done.is_set()
    logs.close()
    os.close(reader)


def test_without_the_guard_files_grow_without_end(tmp_path: Path) -> None:
    sizes = {}
    for guard in (True, False):
        settings = ObservabilitySettings(log_dir=tmp_path / str(guard), log_guard=guard, log_max_mb=0.1)
        logs = Logs(settings, "replica-a")
        for number in range(3000):
            logs.write("access", {"number": number})
        while logs._queue is not None and not logs._queue.empty():
            time.sleep(0.001)
        logs.close()
        sizes[guard] = sum(path.stat().st_size for path in (tmp_path / str(guard)).iterdir())
        assert logs.dropped_total == 0
    assert sizes[True] <= 0.1 * 2**20 < 0.2 * 2**20 < sizes[False]


def test_every_line_is_json_with_the_same_head(tmp_path: Path) -> None:
    logs = Logs(ObservabilitySettings(log_dir=tmp_path), "replica-a/b")
    logs.write("access", {"status": 200, "reason": None, "path": "\ud800\n"})
    logs.close()
    (record,) = [json.loads(text) for text in (tmp_path / "replica-a_b.access.log").read_text().splitlines()]
    assert {"at", "monotonic_s", "log", "program", "status", "path"} == set(record)
    assert (record["log"], record["program"]) == ("access", "replica-a/b")
