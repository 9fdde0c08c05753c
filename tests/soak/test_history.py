"""The file of nights: nothing recorded is lost, and what cannot be read is spoken of."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from harness.soak.history import History, HistoryError, Night, append_night, read_history

NIGHT = Night(
    "2026-11-20T01:00:00+00:00", "3f2a", "c0ffee", "ci-2", "7f3a", 120, {"kill_recovery_s_p50": 3.1, "x": None}
)


def night(day: int, **changes: object) -> Night:
    return replace(NIGHT, began_at=f"2026-11-{day:02}T01:00:00+00:00", **changes)  # type: ignore[arg-type]


def test_what_is_appended_is_read_again_in_order(tmp_path: Path) -> None:
    path = tmp_path / "soak" / "nights.jsonl"
    nights = tuple(night(day, trials=day) for day in range(1, 6))
    for one in nights:
        append_night(path, one)
    assert read_history(path) == History(nights)


def test_a_file_that_is_not_there_has_no_nights(tmp_path: Path) -> None:
    assert read_history(tmp_path / "nights.jsonl") == History(())
    assert History(()).comparable() == ()


def test_a_torn_line_costs_itself_alone_and_stays_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "nights.jsonl"
    append_night(path, night(1))
    with path.open("ab") as file:
        file.write(b'{"version":1,"began_at":"2026-11-0')
    append_night(path, night(3))
    found = read_history(path)
    assert found.nights == (night(1), night(3))
    assert found.notes == ("nights.jsonl:2: not a whole record; it is left out, and left in the file",)
    assert b'"2026-11-0\n' in path.read_bytes()


@pytest.mark.parametrize("version", [2, 0, "1", None])
def test_a_night_of_another_version_is_not_compared_and_not_lost(tmp_path: Path, version: object) -> None:
    path = tmp_path / "nights.jsonl"
    append_night(path, night(1))
    foreign = json.dumps({"version": version, "something": "else"})
    with path.open("a") as file:
        file.write(foreign + "\n")
    append_night(path, night(2))
    found = read_history(path)
    assert found.nights == (night(1), night(2)) and foreign in path.read_text()
    assert found.notes == (f"nights.jsonl:2: version {version!r}, this is 1; it is not compared, and left in the file",)


@pytest.mark.parametrize(
    "wrong",
    [
        {"trials": None}, {"trials": -1}, {"values": [1]}, {"values": {"a": "b"}}, {"values": {"a": 1e999}},
        {"began_at": "yesterday"}, {"began_at": "2026-11-01T01:00:00"}, {"began_at": 5}, {"build": None},
    ],
)  # fmt: skip
def test_a_line_with_wrong_values_is_left_out_with_a_note(tmp_path: Path, wrong: dict[str, object]) -> None:
    path = tmp_path / "nights.jsonl"
    append_night(path, NIGHT)
    line = json.loads(path.read_text())
    path.write_text(json.dumps(line | wrong) + "\n" + json.dumps(line) + "\n")
    found = read_history(path)
    assert found.nights == (NIGHT,) and len(found.notes) == 1 and "nights.jsonl:1: not a night" in found.notes[0]


def test_a_clock_that_was_set_back_does_not_move_nights(tmp_path: Path) -> None:
    path = tmp_path / "nights.jsonl"
    for day in (5, 6, 2, 3):
        append_night(path, night(day))
    found = read_history(path)
    assert [one.began_at[8:10] for one in found.nights] == ["05", "06", "02", "03"]
    (note,) = found.notes
    assert "nights.jsonl:3: began before the night above it" in note


def test_only_nights_of_the_last_ones_configuration_and_host_are_comparable() -> None:
    nights = (night(1), night(2, configuration="other"), night(3, host_kind="laptop"), night(4, build="new"), night(5))
    assert History(nights).comparable() == (nights[0], nights[3], nights[4])


def test_a_night_that_cannot_be_written_says_so_and_harms_no_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "nights.jsonl"
    append_night(path, night(1))

    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(HistoryError, match=r"nights.jsonl: the night could not be written \(No space left on device\)"):
        append_night(path, night(2))
    monkeypatch.undo()
    assert read_history(path).nights == (night(1),)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_number_is_refused_when_the_night_is_made(value: float) -> None:
    with pytest.raises(ValueError, match="a is"):
        replace(NIGHT, values={"a": value})
