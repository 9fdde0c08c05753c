"""The event log and the journal: nothing recorded is lost, and everything intended is taken back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.model.errors import RunBroken
from harness.model.event import Event
from harness.record.append import AppendLog, being_written, read_lines
from harness.record.clock import FakeClock
from harness.record.journal import Inverse, Journal, pending, undo_all
from harness.record.recorder import Recorder


def journal_of(path: Path, *names: str) -> None:
    journal = Journal(path)
    for name in names:
        journal.intend(Inverse(name, {"x": 1}))
    journal.close()


def test_inverses_are_carried_out_newest_first_and_one_that_fails_does_not_stop_the_next(tmp_path: Path) -> None:
    path, seen = tmp_path / "undo.jsonl", []
    journal_of(path, "a", "b", "c")

    def carry_out(inverse: Inverse) -> None:
        seen.append(inverse.name)
        if inverse.name == "b":
            raise OSError("no")

    assert undo_all(path, carry_out) == ["b {'x': 1}: no"]
    assert seen == ["c", "b", "a"]
    assert [inverse.name for _, inverse in pending(path)] == ["b"]


def test_undoing_twice_does_nothing_the_second_time(tmp_path: Path) -> None:
    path, seen = tmp_path / "undo.jsonl", []
    journal_of(path, "a")
    for _ in range(2):
        assert undo_all(path, lambda inverse: seen.append(inverse.name)) == []
    assert seen == ["a"]


def test_a_journal_cut_off_at_any_byte_can_still_be_undone(tmp_path: Path) -> None:
    path = tmp_path / "undo.jsonl"
    journal_of(path, "a", "b")
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        seen: list[str] = []
        assert undo_all(path, lambda inverse, seen=seen: seen.append(inverse.name)) == []
        assert seen == ["b", "a"][2 - (whole[:length] + b"\n").count(b"}}}\n") :]


def test_damaged_lines_of_a_journal_do_not_stop_the_healing(tmp_path: Path) -> None:
    path, seen = tmp_path / "undo.jsonl", []
    path.write_text('{"intend":1}\n[]\n{"undone":[]}\n{"intend":2,"inverse":{"name":"a","args":3}}\nnull\n')
    journal_of(path, "good")
    assert undo_all(path, lambda inverse: seen.append(inverse.name)) == []
    assert seen == ["good"]


def test_a_journal_that_cannot_be_written_does_not_stop_the_healing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = tmp_path / "undo.jsonl", []
    journal_of(path, "a", "b")

    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(AppendLog, "write", full)
    errors = undo_all(path, lambda inverse: seen.append(inverse.name))
    assert seen == ["b", "a"]
    assert "disk full" in errors[0]


def test_numbers_go_on_after_those_that_are_there(tmp_path: Path) -> None:
    journal_of(tmp_path / "undo.jsonl", "a")
    journal_of(tmp_path / "undo.jsonl", "b")
    assert [number for number, _ in pending(tmp_path / "undo.jsonl")] == [2, 1]


def test_a_torn_line_of_a_dead_writer_does_not_swallow_the_next(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"a":1}\n{"b":')
    log = AppendLog(path)
    log.write({"c": 3})
    log.close()
    assert list(read_lines(path)) == [(1, {"a": 1}), (2, None), (3, {"c": 3})]


def test_a_line_that_fits_only_in_part_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AppendLog(tmp_path / "log")
    answers = iter([3])
    write = os.write

    def short(fd: int, data: bytes) -> int:
        size = next(answers, None)
        if size is None:
            raise OSError("disk full")
        return write(fd, data[:size])

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(OSError, match="disk full"):
        log.write({"a": 1})


def test_a_log_tells_others_that_it_is_being_written_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert not being_written(path)
    log = AppendLog(path)
    assert being_written(path)
    log.close()
    assert not being_written(path)


def test_a_recorder_that_cannot_record_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(AppendLog(tmp_path / "events.jsonl"), FakeClock(), 1000.0)

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(AppendLog, "write", full)
    with pytest.raises(RunBroken, match="disk full"):
        recorder.event("anything")


def test_a_display_that_has_gone_does_not_stop_the_recording(tmp_path: Path) -> None:
    recorder = Recorder(AppendLog(tmp_path / "events.jsonl"), FakeClock(), 1000.0)
    heard: list[Event] = []

    def gone(event: Event) -> None:
        raise BrokenPipeError

    recorder.listen(gone)
    recorder.listen(heard.append)
    recorder.event("a")
    recorder.event("b")
    assert [event.kind for event in heard] == ["a", "b"]
