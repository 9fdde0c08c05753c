"""What may be removed, and what never."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.record.append import AppendLog
from harness.record.journal import Inverse, Journal
from harness.store.retention import Policy, StoredRun, choose, look_at, remove

DAY_S = 86_400.0


def run(name: str, age_days: float, size: int = 100, kept_since: str = "") -> StoredRun:
    return StoredRun(Path(name), 1e9 - age_days * DAY_S, size, kept_since)


def names(runs: list[StoredRun]) -> list[str]:
    return [one.path.name for one in runs]


RUNS = [run("a", 9), run("b", 5), run("c", 1), run("d", 0)]


@pytest.mark.parametrize(
    ("policy", "gone"),
    [
        (Policy(), []),
        (Policy(days=7), ["a"]),
        (Policy(days=5), ["a"]),
        (Policy(count=3), ["a"]),
        (Policy(count=0), ["a", "b", "c", "d"]),
        (Policy(size_bytes=250), ["a", "b"]),
        (Policy(days=7, count=1), ["a", "b", "c"]),
    ],
)
def test_a_run_goes_when_any_limit_says_so_the_oldest_first(policy: Policy, gone: list[str]) -> None:
    assert names(choose(RUNS, policy, 1e9)) == gone


def test_what_may_not_be_removed_stays_and_counts(tmp_path: Path) -> None:
    runs = [*RUNS, run("live", 0.5, kept_since="it is still going on")]
    assert names(choose(runs, Policy(count=2), 1e9)) == ["a", "b", "c"]
    assert names(choose(runs, Policy(count=0), 1e9)) == ["a", "b", "c", "d"]


def folder(tmp_path: Path, name: str) -> Path:
    path = tmp_path / name
    path.mkdir()
    (path / "header.json").write_text(json.dumps({"wall_begin": "2026-01-01T00:00:00+00:00"}))
    (path / "requests.parquet").write_bytes(b"x" * 100_000)
    return path


def test_size_and_age_are_those_of_the_folder_and_its_header(tmp_path: Path) -> None:
    seen = look_at(folder(tmp_path, "r"), [])
    assert 100_000 <= seen.size_bytes < 200_000
    assert seen.begun_s == 1_767_225_600
    assert seen.kept_since == ""


def test_a_live_run_an_unhealed_one_a_registered_one_and_a_foreign_folder_are_kept(tmp_path: Path) -> None:
    live, unhealed, registered, foreign, torn = (folder(tmp_path, name) for name in "abcde")
    log = AppendLog(live / "events.jsonl")
    journal = Journal(unhealed / "undo.jsonl")
    journal.intend(Inverse("process.resume", {"pid": 1}))
    journal.close()
    (foreign / "header.json").unlink()
    (torn / "undo.jsonl").write_text('{"intend":[')
    kept = {path.name: look_at(path, [str(registered)]).kept_since for path in tmp_path.iterdir()}
    log.close()
    assert "going on" in kept["a"]
    assert "harness undo" in kept["b"]
    assert "harness undo" in kept["c"]
    assert "header.json" in kept["d"]
    assert kept["e"] == ""  # a torn line is no intent: the fault was not begun


def test_removing_leaves_nothing_and_touches_no_neighbour(tmp_path: Path) -> None:
    gone, kept = folder(tmp_path, "gone"), folder(tmp_path, "kept")
    (gone / "stack").mkdir()
    (gone / "stack" / "link").symlink_to(kept)
    remove(look_at(gone, []))
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (kept / "requests.parquet").exists()
