"""What a run's folder says of itself."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.model.archive import LeftOut, RunSummary
from harness.model.errors import RunFolderError
from harness.model.verdict import VerdictOutcome
from harness.record.append import AppendLog
from harness.render.verdict_json import from_json
from harness.session import judge_folder
from harness.store.archive import find_runs, read_summary
from tests.fake_run import run_fake

pytestmark = pytest.mark.whole

KILL = "faults: [{kind: process.kill, on: primary, at_s: 1}]\nobserve: {recovery_s: {max: 20}}\n"


def judged(out: Path) -> Path:
    folder = run_fake(out, KILL)
    judge_folder(folder)
    return folder.path


def test_a_line_of_the_archive_says_what_the_verdict_says(tmp_path: Path) -> None:
    path = judged(tmp_path)
    verdict = from_json((path / "verdict.json").read_text())
    line = read_summary(tmp_path, path)
    assert isinstance(line, RunSummary)
    assert (line.outcome, line.reason, line.scenario) == (verdict.outcome, verdict.reason, verdict.scenario)
    assert (line.lost, line.eligible) == (verdict.sli["lost"], verdict.sli["eligible"])
    assert line.worst_recovery_s == verdict.episodes[0].recovery_s
    assert line.episodes == 1


def test_the_line_is_the_same_however_the_file_is_laid_out(tmp_path: Path) -> None:
    path = judged(tmp_path)
    before = read_summary(tmp_path, path)
    data = json.loads((path / "verdict.json").read_text())
    (path / "verdict.json").write_text(json.dumps(dict(reversed(data.items()))))
    assert read_summary(tmp_path, path) == before


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"outcome": "pass"}', '{"outcome": "great"}', "\x00", "[" * 9999]
)
def test_a_damaged_verdict_is_left_out_with_a_remedy_and_harms_nothing_else(tmp_path: Path, text: str) -> None:
    path = judged(tmp_path)
    (path / "verdict.json").write_text(text)
    line = read_summary(tmp_path, path)
    assert isinstance(line, LeftOut)
    assert line.state == "broken"
    assert "harness judge" in line.why


def test_a_run_that_is_going_on_and_one_that_died_are_told_apart(tmp_path: Path) -> None:
    path = judged(tmp_path)
    (path / "verdict.json").unlink()
    dead = read_summary(tmp_path, path)
    log = AppendLog(path / "events.jsonl")
    live = read_summary(tmp_path, path)
    log.close()
    assert isinstance(dead, LeftOut) and dead.state == "not judged"
    assert isinstance(live, LeftOut) and live.state == "live"


def test_runs_of_a_night_are_found_below_its_folder_and_links_are_not_followed(tmp_path: Path) -> None:
    path = judged(tmp_path / "night-1")
    os.symlink(tmp_path, tmp_path / "loop")
    (tmp_path / "something-else").mkdir()
    assert list(find_runs(tmp_path)) == [path]
    line = read_summary(tmp_path, path)
    assert isinstance(line, RunSummary)
    assert (line.group, line.outcome) == ("night-1", VerdictOutcome.PASS)


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="is not a folder"):
        list(find_runs(tmp_path / "nowhere"))
