"""The command line on the fake stack: exit codes and sentences."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest

from harness.cli.main import call

pytestmark = pytest.mark.whole

KILL = """# If the primary dies, users are served again within 5 s.
name: kill
load: {rate_per_s: 20}
phases: {baseline_s: 5, recovery_s: 5}
faults: [{kind: process.kill}]
observe: {recovery_s: {max: 5}}
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "kill.yaml"
    path.write_text(KILL)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that is only copied."""
    scenario = tmp_path_factory.mktemp("finished") / "kill.yaml"
    scenario.write_text(KILL)
    assert run(scenario) == 0
    return folder(scenario)


def run(scenario: Path, *more: str) -> int:
    return call(["run", str(scenario), "--stack", "fake", "--out", str(scenario.parent / "out"), *more])


def folder(scenario: Path) -> Path:
    (found,) = (scenario.parent / "out").iterdir()
    return found


def test_a_kept_objective_exits_0_and_leaves_every_report(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(scenario) == 0
    names = {path.name for path in folder(scenario).iterdir()}
    assert {"plan.json", "events.jsonl", "requests.parquet", "undo.jsonl", "verdict.json"} <= names
    assert {"report.html", "report.md", "junit.xml"} <= names
    assert "PASS" in capsys.readouterr().out


def test_a_broken_objective_exits_1(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenario.write_text(KILL.replace("max: 5}", "max: 0.1}"))
    assert run(scenario) == 1
    assert "FAIL" in capsys.readouterr().out


def test_a_fault_on_an_idle_replica_proves_nothing_and_exits_3(
    scenario: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario.write_text(KILL.replace("process.kill", "process.kill, on: standby"))
    assert run(scenario) == 3
    assert "no request reached standby" in capsys.readouterr().out


def test_the_worst_of_several_scenarios_decides(scenario: Path) -> None:
    bad, idle = scenario.with_name("bad.yaml"), scenario.with_name("idle.yaml")
    bad.write_text(KILL.replace("max: 5}", "max: 0.1}"))
    idle.write_text(KILL.replace("process.kill", "process.kill, on: standby"))
    common = ["--stack", "fake", "--out", str(scenario.parent / "out")]
    assert call(["run", str(scenario), str(idle), *common]) == 3
    assert call(["run", str(idle), str(bad), str(scenario), *common]) == 1


def test_the_known_verdict_can_be_asked_for(scenario: Path) -> None:
    scenario.write_text(KILL.replace("max: 5}", "max: 0.1}") + "expect: fail\n")
    assert run(scenario, "--as-expected") == 0
    scenario.write_text(KILL + "expect: fail\n")
    assert run(scenario, "--as-expected") == 1


def test_every_problem_of_every_file_is_shown_before_anything_is_touched(
    scenario: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = scenario.with_name("other.yaml")
    scenario.write_text(KILL.replace("rate_per_s", "rate_per_sec"))
    other.write_text("name: Other\nfaults: [{kind: process.kil}]\n")
    assert call(["run", str(scenario), str(other), "--stack", "fake", "--out", str(scenario.parent / "out")]) == 2
    said = capsys.readouterr().err
    assert f"{scenario}:3: load.rate_per_sec: unknown key (did you mean 'rate_per_s'?)" in said
    assert f"{other}:1: name:" in said
    assert f"{other}:2: faults: there is no kind 'process.kil' (did you mean 'process.kill'?)" in said
    assert not (scenario.parent / "out").exists()


def test_a_missing_model_is_one_sentence_with_the_remedy(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = scenario.parent / "no-model"
    assert call(["run", str(scenario), "--model", str(missing), "--out", str(scenario.parent / "out")]) == 2
    said = capsys.readouterr().err
    assert str(missing) in said
    assert "target_service.build_model" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "nowhere.yaml", "--stack", "fake"], "nowhere.yaml: there is no such file"),
        (["judge", "nowhere"], "nowhere is not a run's folder"),
        (["report", "nowhere"], "nowhere/verdict.json is missing"),
        (["explain", "nowhere", "1"], "nowhere is not a run's folder"),
        (["undo", "nowhere"], "'nowhere' is neither a live run nor a run's folder"),
        (["rum"], "Did you mean 'run'?"),
        (["check"], "name at least one scenario"),
    ],
)
def test_bad_arguments_are_one_sentence_and_exit_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(arguments) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said


@pytest.mark.parametrize("name", ["plan.json", "header.json", "events.jsonl", "requests.parquet"])
@pytest.mark.parametrize("damage", ["missing", "empty", "garbage", "cut"])
def test_a_damaged_run_folder_is_a_sentence_or_a_verdict_and_never_a_traceback(
    finished: Path, tmp_path: Path, name: str, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(finished, damaged)
    path = damaged / name
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "garbage": b"\x00\xff nonsense\n", "cut": whole[: len(whole) // 2]}[damage])
    code = call(["judge", str(damaged)])
    said = capsys.readouterr()
    assert code in (2, 3), said.out
    assert "Traceback" not in said.err
    assert code == 3 or said.err.startswith("harness: ")


def test_an_old_run_can_be_judged_again_to_the_same_verdict(scenario: Path) -> None:
    run(scenario)
    path = folder(scenario) / "verdict.json"
    before = json.loads(path.read_text())
    path.unlink()
    assert call(["judge", str(folder(scenario))]) == 0
    assert json.loads(path.read_text()) == before


def test_the_same_seed_gives_the_same_verdict(scenario: Path) -> None:
    verdicts = []
    for name in ("a", "b"):
        out = scenario.parent / name
        call(["run", str(scenario), "--stack", "fake", "--seed", "7", "--out", str(out)])
        (only,) = out.iterdir()
        verdict = json.loads((only / "verdict.json").read_text())
        verdict["run"].pop("run_id")
        verdicts.append(verdict)
    assert verdicts[0] == verdicts[1]


def test_the_plan_shows_what_would_happen_and_touches_nothing(
    scenario: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(scenario.parent)
    assert call(["plan", str(scenario), "--stack", "fake", "--seed", "7"]) == 0
    said = capsys.readouterr().out
    for words in ("1 episode", "requests", "primary: scripted replica", "process.kill on primary", "--seed 7", "p50"):
        assert words in said
    assert sorted(path.name for path in scenario.parent.iterdir()) == ["kill.yaml"]


def test_explain_shows_the_requests_at_an_episodes_edges(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(scenario)
    capsys.readouterr()
    assert call(["explain", str(folder(scenario)), "1"]) == 0
    said = capsys.readouterr().out
    for words in ("first lost request", "last lost request", "http_error by primary", "target.isolated", "->"):
        assert words in said
    assert call(["explain", str(folder(scenario)), "9"]) == 2


@pytest.mark.parametrize("form", ["html", "md", "junit", "json"])
def test_report_prints_each_format(scenario: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(scenario)
    capsys.readouterr()
    assert call(["report", str(folder(scenario)), "--format", form]) == 0
    assert "kill" in capsys.readouterr().out


def test_faults_lists_every_kind_with_its_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["faults"]) == 0
    said = capsys.readouterr().out
    for words in ("process.kill", "weights.bit_flip", "bits=1000", "restart_after_s", "needs: corrupt_files"):
        assert words in said


def test_doctor_says_what_is_missing_and_how_to_get_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["doctor"]) in (0, 2)
    assert "state folder" in capsys.readouterr().out


def test_the_schema_is_published(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["check", "--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["properties"]["load"]
    assert schema["additionalProperties"] is False


def test_every_scenario_of_the_project_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["check", str(Path(__file__).parents[2] / "scenarios")]) == 0
    assert call(["plan", str(Path(__file__).parents[2] / "scenarios"), "--stack", "fake"]) == 0


def test_a_defect_of_the_harness_is_a_sentence_and_its_traceback_is_kept(
    scenario: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.cli.runs.plan_lines", lambda plan: 1 / 0)
    assert call(["plan", str(scenario), "--stack", "fake"]) == 3
    said = capsys.readouterr().err
    assert "a defect of the harness itself: ZeroDivisionError" in said
    kept = Path(said.rsplit("; see ", 1)[1].strip())
    assert "Traceback" in kept.read_text()
    kept.unlink()


def test_on_a_full_disk_there_is_the_sentence_without_a_traceback(
    scenario: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("harness.cli.runs.plan_lines", full)
    monkeypatch.setattr("tempfile.NamedTemporaryFile", full)
    assert call(["plan", str(scenario), "--stack", "fake"]) == 3
    assert capsys.readouterr().err == "harness: OSError: [Errno 28] No space left on device\n"
