"""Several scenarios in one command: one that cannot be run takes nothing from the others."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from harness.cli import several_runs
from harness.cli.main import call
from harness.model.errors import HarnessError, StackError

GOOD = """# If the primary dies, users are served again within 5 s.
name: {name}
phases: {{baseline_s: 5, recovery_s: 5}}
faults: [{{kind: process.kill}}]
observe: {{recovery_s: {{max: {limit}}}}}
expect: {expect}
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs scenarios by name: bad ones break their limit, absent ones have no stack, broken ones meet a defect."""
    real = several_runs.run_one

    def run_one(drawn: Any, *rest: Any) -> Any:
        if drawn.plan.scenario.name.startswith("absent"):
            raise StackError("its port is taken")
        if drawn.plan.scenario.name.startswith("broken"):
            raise ValueError("cannot convert NaN")
        return real(drawn, *rest)

    monkeypatch.setattr(several_runs, "run_one", run_one)

    def once(*names: str, options: tuple[str, ...] = ()) -> int:
        for name in names:
            limit = 0.1 if name.startswith("bad") else 5
            text = GOOD.format(name=name, limit=limit, expect="fail" if limit < 1 else "pass")
            (tmp_path / f"{name}.yaml").write_text(text)
        files = [str(tmp_path / f"{name}.yaml") for name in names]
        return call(["run", *files, "--stack", "fake", "--seed", "7", "--out", str(tmp_path / "out"), *options])

    return once


def test_the_others_are_run_and_shown_and_what_has_no_verdict_is_named(
    run: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run("good", "absent", "good-too") == 3
    said = capsys.readouterr()
    assert "no verdict: its port is taken" in said.err
    assert said.out.rstrip().endswith("no verdict: absent")
    assert len(list((tmp_path / "out").glob("*-good*/verdict.json"))) == 2


def test_a_defect_takes_the_verdict_of_one_run_alone(
    run: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert run("good", "broken", "good-too") == 3
    said = capsys.readouterr()
    assert "no verdict: a defect of the harness itself: ValueError: cannot convert NaN; see " in said.err
    assert "ValueError: cannot convert NaN" in Path(said.err.rsplit("; see ", 1)[1].strip()).read_text()
    assert said.out.rstrip().endswith("no verdict: broken")
    assert len(list((tmp_path / "out").glob("*-good*/verdict.json"))) == 2
    assert run("broken", "bad") == 1
    assert run("broken") == 3


def test_a_reader_of_the_output_who_has_gone_ends_them_all(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []

    def run_one(drawn: Any, *_: Any) -> Any:
        begun.append(drawn.plan.scenario.name)
        raise BrokenPipeError

    monkeypatch.setattr(several_runs, "run_one", run_one)
    assert run("good", "good-too") == 3
    assert begun == ["good"]


def test_a_fail_counts_more_than_a_run_that_could_not_be(run: Any) -> None:
    assert run("absent", "bad") == 1


def test_as_expected_compares_each_with_its_own_file(run: Any) -> None:
    assert run("bad", "good", options=("--as-expected",)) == 0
    assert run("absent", "bad", "good", options=("--as-expected",)) == 1
    assert run("absent", "good", options=("--as-expected",)) == 3


def test_one_alone_that_cannot_be_run_is_its_sentence(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("absent") == 2
    assert "its port is taken" in capsys.readouterr().err


def test_control_pairs_ask_before_the_first_run(
    run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[list[str]] = []

    def agree(planned: Any, kept: Path, *, yes: bool) -> None:
        asked.append([str(plan.scenario.half) for plan, _ in planned])
        raise HarnessError(f"not agreed, {yes}")

    monkeypatch.setattr("harness.cli.runs.agree", agree)
    (tmp_path / "pair.yaml").write_text(
        GOOD.format(name="pair", limit=5, expect="{fragile: {outcome: fail, because: recovery_s}, hardened: pass}")
    )
    assert call(["run", str(tmp_path / "pair.yaml"), "--pairs", "--stack", "fake", "--out", str(tmp_path / "out")]) == 2
    assert asked == [["fragile", "hardened"]]
    assert "not agreed, False" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("by", ["file", "option"])
def test_control_pairs_are_never_run_on_another_target_than_the_one_that_was_named(
    tmp_path: Path, by: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = GOOD.format(name="mine", limit=5, expect="{fragile: {outcome: fail, because: recovery_s}, hardened: pass}")
    named = "external: {url: 'http://127.0.0.1:1'}\n" if by == "file" else ""
    (tmp_path / "mine.yaml").write_text(text + named)
    words = ["--url", "http://127.0.0.1:1"] if by == "option" else []
    assert call(["run", str(tmp_path / "mine.yaml"), "--pairs", "--yes", *words]) == 2
    assert "--pairs turns the target's protections off and on" in capsys.readouterr().err
