"""Control pairs on the fake stack: what tells fragile from hardened, and what is said of a scenario that does not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness.cli.main import call
from harness.model.capability import Capability
from harness.plan.halves import of_half
from harness.plan.make_plan import lacking
from harness.plan.parse import parse_scenario

pytestmark = pytest.mark.whole

HANG = """# If the engine hangs, users are served again within 5 s.
name: {name}
load: {{rate_per_s: 20}}
phases: {{baseline_s: 5, recovery_s: 5}}
faults: [{{kind: service.hang, for_s: {for_s}}}]
observe: {{recovery_s: {{max: {limit}}}, wrong_answers: {{max: 0}}}}
claim: {{baseline_success_rate: {{min: 0.9}}}}
expect:
  fragile: {{outcome: fail, because: {because}}}
  hardened: pass
"""


def hang(folder: Path, name: str, *, limit: float = 5, because: str = "recovery_s", for_s: float = 8) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(HANG.format(name=name, limit=limit, because=because, for_s=for_s))


def pairs(folder: Path, *more: str) -> int:
    out = ["--out", str(folder.parent / "out")]
    return call(["run", str(folder), "--pairs", "--stack", "fake", "--seed", "7", *out, *more])


def table(folder: Path) -> dict[str, dict[str, object]]:
    return {one["scenario"]: one for one in json.loads((folder.parent / "out" / "pairs.json").read_text())["pairs"]}


def test_a_pair_that_fails_fragile_and_passes_hardened_exits_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "half-alive"
    hang(folder, "good")
    assert pairs(folder) == 0
    assert "1 of 1 pairs tell fragile from hardened (100%)" in capsys.readouterr().out
    assert table(folder)["good"]["discriminates"] is True
    assert table(folder)["good"]["group"] == "half-alive"
    assert "| good | ✕ fail | ✓ pass | yes |" in (tmp_path / "out" / "pairs.md").read_text()
    page = (tmp_path / "out" / "pairs.html").read_text()
    linked = [tmp_path / "out" / path for path in re.findall(r'href="([^#"]*)"', page)]
    assert [path.is_file() for path in linked] == [True, True]


def test_a_fragile_half_that_passes_is_a_defect_of_the_scenario(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "scenarios"
    hang(folder, "lax", limit=60)
    hang(folder, "good")
    assert pairs(folder) == 1
    said = capsys.readouterr().out
    assert "lax: fragile: it passes without any protection, so the scenario finds nothing: a defect" in said
    assert f"replay: harness run {folder}/lax.yaml --protection fragile --stack fake --seed 7" in said
    assert table(folder)["good"]["discriminates"] is True, "one bad scenario takes nothing from the others"


def test_a_fragile_half_that_fails_for_another_reason_is_a_defect_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "scenarios"
    hang(folder, "other", because="wrong_answers")
    assert pairs(folder) == 1
    assert "it fails because of recovery_s, not of wrong_answers as its file says" in capsys.readouterr().out


def test_a_hardened_half_that_fails_is_said_with_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "scenarios"
    hang(folder, "strict", limit=0.1)
    assert pairs(folder) == 1
    assert "strict: hardened: it fails with every protection on: episode 1: users had" in capsys.readouterr().out


def test_a_half_that_cannot_tell_is_inconclusive_and_exits_3(tmp_path: Path) -> None:
    folder = tmp_path / "scenarios"
    hang(folder, "idle")
    path = folder / "idle.yaml"
    path.write_text(path.read_text().replace("service.hang", "service.hang, on: standby"))
    assert pairs(folder) == 3


def test_a_half_can_be_run_alone_and_its_replay_command_says_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "scenarios"
    hang(folder, "good")
    where = ["--stack", "fake", "--out", str(tmp_path / "out")]
    assert call(["run", str(folder), "--protection", "fragile", *where, "--as-expected"]) == 0
    assert "--protection fragile --stack fake" in capsys.readouterr().out
    assert call(["run", str(folder), "--protection", "hardened", *where]) == 0


def test_claims_of_a_catalogue_are_corrected_for_their_number(tmp_path: Path) -> None:
    folder = tmp_path / "scenarios"
    for number in range(3):
        hang(folder, f"claim-{number}")
    assert pairs(folder) == 0
    claims = json.loads((tmp_path / "out" / "pairs.json").read_text())["claims"]
    assert [one["holds"] for one in claims] == [True, True, True]
    assert all(0 < one["p_value"] < 0.05 / 3 for one in claims)


def test_without_any_pair_there_is_nothing_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "scenarios"
    hang(folder, "plain")
    path = folder / "plain.yaml"
    path.write_text(path.read_text().partition("expect:")[0])
    assert pairs(folder) == 2
    assert "plain.yaml:1: expect: says nothing of fragile and hardened; name both" in capsys.readouterr().err


def test_a_scenario_without_a_pair_is_named_beside_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "scenarios"
    hang(folder, "good")
    (folder / "plain.yaml").write_text((folder / "good.yaml").read_text().partition("expect:")[0])
    assert pairs(folder) == 0
    assert f"without a pair: {folder}/plain.yaml" in capsys.readouterr().out


def test_pairs_and_a_single_half_exclude_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "scenarios"
    hang(folder, "good")
    assert pairs(folder, "--protection", "fragile") == 2
    assert "--pairs runs both halves" in capsys.readouterr().err


def test_what_a_folder_holds_for_another_kind_of_stack_is_left_out_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "scenarios"
    hang(folder, "good")
    hang(folder, "other")
    path = folder / "other.yaml"
    path.write_text(path.read_text().replace("name: other", "name: other\ntarget: {balancer: haproxy}"))
    assert pairs(folder) == 0
    lacks = "target.balancer needs the capability 'balancer', which the stack 'fake' does not have"
    assert f"left out  {path}:3: {lacks}\n" in capsys.readouterr().out
    assert list(table(folder)) == ["good"]
    assert call(["plan", str(folder), "--stack", "fake"]) == 0
    assert f"left out  {path}:3: {lacks}\n" in capsys.readouterr().out
    assert pairs(path) == 2, "what is asked for by name is refused"
    assert f"{path}:3: {lacks} (it has: clock," in capsys.readouterr().err
    (folder / "good.yaml").unlink()
    assert pairs(folder) == 2, "nothing is left to run"


def test_a_half_that_chooses_its_supervisor_is_refused_where_nobody_can(tmp_path: Path) -> None:
    folder = tmp_path / "scenarios"
    hang(folder, "chosen", because="recovery_s, target: {supervisor: never}")
    scenario = parse_scenario((folder / "chosen.yaml").read_text(), "chosen.yaml")
    engine_restarts = frozenset(Capability) - {Capability.SUPERVISOR}
    assert lacking(of_half(scenario, "hardened"), "compose", engine_restarts) == []
    assert lacking(of_half(scenario, "fragile"), "compose", engine_restarts) == [
        "chosen.yaml:9: expect.fragile.target.supervisor needs the capability 'supervisor', which the stack 'compose' "
        "does not have"
    ]
