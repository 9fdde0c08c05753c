"""`harness soak` on the fake stack: exit codes, sentences, files."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.cli.main import call
from harness.store.trials import TrialStore

pytestmark = pytest.mark.whole

TEXT = """# Crashes are fine.
name: brief
days: 30
target: {supervision: {max_restarts: 99, stable_s: 2}}
load: {rate_per_s: 20}
faults:
  - {name: crash, inject: [{kind: process.kill}], rate: {events: 2, exposure_days: 90, source: a test}}
objectives: {success_rate: {min: 0.9}, failures: {max: 9}}
measure: {trials_min: 10, trial_s: 6, gap_s_min: 1, gap_s_max: 3, fault_free_s: 30}
warmup_max_s: 5
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "brief.yaml"
    path.write_text(TEXT)
    return path


def soak(*words: str) -> int:
    return call(["soak", *words])


def test_a_night_measures_projects_and_leaves_every_report(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = soak("nightly", "brief.yaml", "--stack", "fake", "--budget", "5m", "--seed", "1")
    said = capsys.readouterr().out
    store = file.parent / "reports" / "soak" / "brief"
    report = json.loads((store / "projection.json").read_text())
    assert code == {"pass": 0, "fail": 1, "inconclusive": 3}[report["outcome"]]
    assert f"30-day projection calibrated on {report['trials']} verified trials" in said
    assert report["trials"] >= 20 and {path.name for path in store.iterdir()} >= {
        "trials.jsonl",
        "report.html",
        "report.md",
    }
    assert {one["check"] for one in report["findings"]} >= {"trials", "backtest.held_out", "compression"}
    for name in ("html", "md", "json"):
        assert soak("report", str(store), "--format", name) == 0
    assert soak("project", "brief.yaml") == code
    assert json.loads((store / "projection.json").read_text()) == report, "the same trials give the same projection"


def test_a_run_that_was_not_stored_can_be_added(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert soak("measure", "brief.yaml", "--stack", "fake", "--budget", "2m", "--seed", "1") == 0
    store = file.parent / "reports" / "soak" / "brief" / "trials.jsonl"
    before = store.read_text()
    (run,) = [path for path in (file.parent / "reports").iterdir() if path.name != "soak"]
    store.unlink()
    assert soak("add", "brief.yaml", str(run), "--stack", "fake") == 0
    assert store.read_text() == before


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["check", "none.yaml"], 2, "there is no such file"),
        (["project", "brief.yaml"], 2, "holds no trials: measure a night with"),
        (["measure", "brief.yaml", "--stack", "fake", "--budget", "30s"], 2, "too short for one trial of each type"),
        (["measure", "brief.yaml", "--stack", "fake", "--budget", "soon"], 2, "'soon' is no time"),
        (["check", "brief.yaml", "--budget", "-5m"], 2, "'-5m' is no time"),
        (["report", "."], 2, "projection.json is missing"),
        (["run", "brief.yaml", "--stack", "fake"], 2, "say --hours for a new run"),
        (["run", "brief.yaml", "--stack", "fake", "--resume"], 2, "begin with 'harness soak run"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    file: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, told: str
) -> None:
    assert soak(*words) == code
    assert told in capsys.readouterr().err
    assert not (file.parent / "reports").exists()


def test_a_store_of_another_version_is_refused_before_anything_is_measured(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = file.parent / "reports" / "soak" / "brief"
    store.mkdir(parents=True)
    (store / "trials.jsonl").write_text('{"v": 7, "night": {}}\n')
    assert soak("measure", "brief.yaml", "--stack", "fake") == 2
    assert "written by version 7" in capsys.readouterr().err
    assert [path.name for path in (file.parent / "reports").iterdir()] == ["soak"]


def test_real_time_can_be_run_and_a_second_one_waits_for_the_first(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert soak("run", "brief.yaml", "--hours", "0.03", "--stack", "fake", "--seed", "1") == 0
    real = file.parent / "reports" / "soak" / "brief" / "real"
    assert "0.03 of 0.03 h" in capsys.readouterr().out
    assert soak("run", "brief.yaml", "--hours", "0.02", "--stack", "fake") == 0, "the first is over"
    journal = real / "run.jsonl"
    journal.write_text(journal.read_text().splitlines()[0] + "\n")
    assert soak("run", "brief.yaml", "--hours", "1", "--stack", "fake") == 2
    assert "go on with --resume" in capsys.readouterr().err
    file.write_text(TEXT.replace("days: 30", "days: 31"))
    assert soak("run", "brief.yaml", "--resume", "--stack", "fake") == 2
    assert "is not what this run began with" in capsys.readouterr().err


@pytest.mark.process
def test_a_real_time_run_that_is_killed_goes_on_where_it_was_and_nothing_recorded_is_lost(file: Path) -> None:
    """SIGKILL in its second leg."""
    words = [sys.executable, "-u", "-m", "harness.cli", "soak", "run", "brief.yaml", "--stack", "fake"]
    begin = [*words, "--leg", "2m", "--hours", "0.06", "--seed", "1"]
    with subprocess.Popen(begin, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert any("of 0.06 h" in line for line in run.stdout), "a leg has ended"
        time.sleep(0.1)
        run.kill()
    assert run.returncode == -9, "the run was over before it could be killed"
    before = (file.parent / "reports/soak/brief/trials.jsonl").read_bytes()
    assert subprocess.run([*words, "--resume"], check=False).returncode == 0
    store = TrialStore(file.parent / "reports/soak/brief/trials.jsonl")
    assert store.path.read_bytes().startswith(before[: before.rfind(b"\n") + 1]), "what was there is still there"
    nights, _ = store.read()
    assert sum(night.duration_s for night in nights) == pytest.approx(216, abs=15)
    assert len({night.run_id for night in nights}) == len(nights)


def test_soak_files_are_no_scenarios_for_the_other_verbs(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenarios = Path(__file__).parents[2] / "scenarios"
    assert call(["check", str(scenarios)]) == 0
    assert "thirty-days" not in capsys.readouterr().out
    assert call(["check", str(scenarios / "soak" / "thirty-days.yaml")]) == 2
    assert "this is a soak file, not a scenario: use 'harness soak check" in capsys.readouterr().err
