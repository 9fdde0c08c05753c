"""`harness shrink` on the fake stack: what it finds, what it asks before, and what is left when it is cut off."""

from __future__ import annotations

import dataclasses
import shlex
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import harness.cli.shrink as verb
from harness.cli.main import call
from harness.model.capability import Capability
from harness.model.errors import HarnessError, StackError
from harness.model.scenario import Scenario
from harness.plan.parse import parse_scenario
from harness.record.clock import Clock, FakeClock
from harness.stack.fake.stack import FakeStack
from harness.store.folder import RunFolder
from tests.fake_run import run_fake

HEAD = """# Something of this loses requests.
name: many
load: {rate_per_s: 20, mix: {chat_stream: 1}}
phases: {baseline_s: 5, recovery_s: 8}
observe: {lost_requests: {max: 5}}
"""
FAULTS = """faults:
  - {kind: network.latency, on: gateway, latency_ms: 50, at_s: 0, for_s: 2}
  - {kind: process.pause, on: primary, at_s: 4, for_s: 8}
  - {kind: weights.zero_block, on: primary, at_s: 14, for_s: 2}
  - {kind: network.slow_close, on: gateway, at_s: 18, for_s: 2}
"""
URL = "http://127.0.0.1:1"


@pytest.fixture
def failed(tmp_path: Path) -> Path:
    """The folder of a run that lost too many requests."""
    return run_fake(tmp_path / "out", FAULTS, head=HEAD).path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "it's small"  # which a shell would not take as it is


@pytest.fixture
def small(failed: Path, out: Path) -> Callable[..., int]:
    """Shrink it, with one trial a candidate."""
    return lambda *words: call(["shrink", str(failed), "--trials", "1", "--out", str(out), *words])


def read(path: Path) -> Scenario:
    return parse_scenario(path.read_text(), path.name)


def before_run(monkeypatch: pytest.MonkeyPatch, number: int, happens: Callable[[], object], until: int = 0) -> None:
    """Let something happen right before that run, counted from 1, and before those that follow `until` that one."""
    real, begun = verb.run_session, iter(range(1, 1000))

    def run_session(*given: Any) -> RunFolder:
        if number <= next(begun) <= max(number, until):
            happens()
        return real(*given)

    monkeypatch.setattr(verb, "run_session", run_session)


def raising(error: Exception) -> Callable[[], object]:
    def happens() -> object:
        raise error

    return happens


@pytest.mark.whole
def test_it_finds_the_fault_that_did_it_and_writes_it_as_a_scenario(
    failed: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["shrink", str(failed), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "smaller   only process.pause on primary" in said
    written = out / "many-smallest.yaml"
    (fault,) = read(written).faults
    assert fault.kind == "process.pause"
    assert fault.lasts_s < 8
    assert "smaller   the fault 4 s sooner" in said and fault.at_s == 0
    replay = said.splitlines()[-1]
    assert shlex.split(replay) == ["replay", "harness", "run", str(written), "--stack", "fake", "--seed", "seed"]
    words = shlex.split(replay)[2:]
    assert call([*words, "--out", str(tmp_path / "again")]) == 1, "what was found fails by itself"


def test_a_run_that_passed_cannot_be_shrunk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_fake(tmp_path, FAULTS, head=HEAD.replace("max: 5}", "max: 5000}")).path
    assert call(["shrink", str(run)]) == 2
    assert "only a run that failed can be shrunk" in capsys.readouterr().err


def test_the_number_of_runs_is_limited_and_said(
    small: Callable[..., int], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert small("--runs", "3") == 0
    cut = "cut off before it was as small as could be: 3 runs were allowed"
    assert "3 runs" in (said := capsys.readouterr().out)
    assert cut in said
    assert cut in (out / "many-smallest.yaml").read_text(), "the file says so, too"


def test_fewer_runs_than_trials_are_refused_before_the_first(
    small: Callable[..., int], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert small("--trials", "2", "--runs", "1") == 2
    said = capsys.readouterr().err
    assert "--runs 1 is too few for --trials 2" in said and "does not fail" not in said
    assert not out.exists()


def test_a_scenario_that_passes_when_it_is_run_again_is_said_to(
    small: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = verb.plan_all

    def gentler(scenarios: list[Scenario], *given: Any) -> Any:
        return real([dataclasses.replace(one, faults=one.faults[:1]) for one in scenarios], *given)

    monkeypatch.setattr(verb, "plan_all", gentler)
    assert small() == 2
    assert "does not fail 1 times in 1 when it is run again: run 1 was pass: " in capsys.readouterr().err


def test_ctrl_c_in_the_first_run_claims_nothing_of_the_scenario(
    small: Callable[..., int], monkeypatch: pytest.MonkeyPatch, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before_run(monkeypatch, 1, lambda: signal.raise_signal(signal.SIGINT))
    assert small() == 3
    assert "interrupted before it was known whether it still fails" in (said := capsys.readouterr().err)
    assert "does not fail" not in said
    assert not list(out.glob("*.yaml"))


def test_a_first_run_that_cannot_be_done_is_not_called_one_that_passes(
    small: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before_run(monkeypatch, 1, raising(StackError("port 8000 is taken")))
    assert small() == 2
    assert "not known, since it could not be run: port 8000 is taken" in (said := capsys.readouterr().err)
    assert "does not fail" not in said


def test_a_scenario_that_cannot_be_planned_any_more_is_said_to_be_that(
    small: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(FakeStack, "capabilities", frozenset[Capability]())
    assert small() == 2
    assert "cannot be planned again: many:" in capsys.readouterr().err


@pytest.mark.whole
def test_one_run_that_cannot_be_done_does_not_end_the_search(
    small: Callable[..., int], monkeypatch: pytest.MonkeyPatch, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before_run(monkeypatch, 3, raising(StackError("port 8000 is taken")))
    assert small("--runs", "6") == 0
    said = capsys.readouterr().out
    assert "  3  SAYS NOTHING  network.latency on gateway: port 8000 is taken\n" in said
    assert "1 of the runs said nothing, so a smaller one may have been missed" in said
    assert (out / "many-smallest.yaml").exists()


@pytest.mark.whole
def test_a_target_that_has_gone_ends_the_search_before_all_runs_are_used_up(
    small: Callable[..., int], monkeypatch: pytest.MonkeyPatch, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before_run(monkeypatch, 3, raising(StackError("nobody answers")), until=99)
    assert small() == 0
    said = capsys.readouterr().out
    assert "5 runs, " in said
    assert "cut off before it was as small as could be: the last 3 runs could not be done (nobody answers)" in said
    assert (out / "many-smallest.yaml").exists()


@pytest.mark.parametrize(
    "ending",
    [
        (lambda: signal.raise_signal(signal.SIGINT), "interrupted"),
        (raising(OSError("No space left on device")), "OSError: No space left on device"),
    ],
)
def test_the_smallest_so_far_is_written_whatever_ends_the_search(
    small: Callable[..., int],
    out: Path,
    ending: tuple[Callable[[], object], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    happens, why = ending
    monkeypatch.setattr("tempfile.tempdir", str(out.parent))  # for the traceback of what is called a defect
    before_run(monkeypatch, 3, happens)
    assert small() == 3
    assert f"cut off before it was as small as could be: {why}" in capsys.readouterr().out
    kinds = [fault.kind for fault in read(out / "many-smallest.yaml").faults]
    assert kinds == ["network.latency", "process.pause"]


def test_what_an_earlier_search_found_is_never_overwritten(
    small: Callable[..., int], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out.mkdir()
    (out / "many-smallest.yaml").write_text("mine")
    assert small("--runs", "1") == 0
    assert (out / "many-smallest.yaml").read_text() == "mine"
    assert read(out / "many-smallest-2.yaml").name == "many-smallest"
    said = capsys.readouterr().out
    assert f"{out / 'many-smallest.yaml'}, which was there already" in said
    assert f"harness run {shlex.quote(str(out / 'many-smallest-2.yaml'))} " in said
    assert small("--runs", "1") == 0
    assert not (out / "many-smallest-3.yaml").exists(), "the same is not written twice"


def test_the_half_is_in_the_name_of_what_was_found_for_it(tmp_path: Path, out: Path) -> None:
    path, made = tmp_path / "many.yaml", tmp_path / "halves"
    path.write_text(f"{HEAD}{FAULTS}expect: {{fragile: {{outcome: fail, because: lost_requests}}, hardened: pass}}\n")
    assert call(["run", str(path), "--stack", "fake", "--protection", "fragile", "--out", str(made)]) == 1
    (run,) = made.iterdir()
    assert call(["shrink", str(run), "--trials", "1", "--runs", "1", "--out", str(out)]) == 0
    assert read(out / "many-fragile-smallest.yaml").target.protection == "fragile"


def test_each_run_of_a_search_replays_its_own_candidate(small: Callable[..., int], out: Path) -> None:
    assert small("--runs", "2") == 0
    runs = sorted(one for one in out.iterdir() if one.is_dir())
    assert len(runs) == 2
    for run in runs:
        plan = RunFolder(run).read_plan()
        words = ["harness", "run", str(run / "scenario.yaml"), "--stack", "fake", "--seed", plan.seed]
        assert shlex.split(plan.replay) == words
        assert read(run / "scenario.yaml").faults == plan.scenario.faults
    assert {len(RunFolder(run).read_plan().scenario.faults) for run in runs} == {2, 4}


class Foreign(FakeStack):
    """In the place of a server of somebody else's, which it knows by its address."""

    name = "external"
    capabilities = FakeStack.capabilities | {Capability.EXEC}

    def __init__(self, external: object, url: str | None, load: object, clock: Clock) -> None:
        super().__init__(clock)
        self._url = url or "none"

    def describe(self) -> Mapping[str, str]:
        return {"target": self._url, **super().describe()}


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_YES", raising=False)
    monkeypatch.setattr("harness.stack.external.stack.ExternalStack", Foreign)
    monkeypatch.setattr(verb, "make_clock", lambda _: FakeClock())


@pytest.mark.usefixtures("foreign")
def test_a_run_on_a_server_of_your_own_is_shrunk_there_and_not_before_you_agree(
    small: Callable[..., int], out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--stack", "external", "--url", URL, "--runs", "1"]
    assert small(*words) == 2
    said = capsys.readouterr().err
    assert f"requests are sent to {URL}" in said and "nobody is there to agree" in said
    assert not out.exists()
    assert small(*words, "--yes") == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(f" --stack external --seed seed --url {URL}")
    (run,) = (one for one in out.iterdir() if one.is_dir())
    assert RunFolder(run).read_plan().target["target"] == URL
    again = ["shrink", str(run), "--trials", "1", "--runs", "1", "--out", str(tmp_path / "again"), "--yes"]
    assert call(again) == 0, "stack and address are those of the run"
    assert capsys.readouterr().out.splitlines()[-1].endswith(f" --stack external --seed seed --url {URL}")


@pytest.mark.usefixtures("foreign")
def test_the_commands_of_a_run_that_was_fetched_from_elsewhere_are_not_run_unasked(
    failed: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read_plan = RunFolder.read_plan
    mark = out.parent / "done"
    command = (
        f"{{kind: exec, do: [touch, {mark}], undo: [rm, -f, {mark}], verify: [test, -e, {mark}], at_s: 1, for_s: 2}}"
    )
    faults = parse_scenario(f"{HEAD}{FAULTS}  - {command}\n", "x").faults

    def fetched(folder: RunFolder) -> Any:
        plan = read_plan(folder)
        return dataclasses.replace(plan, scenario=dataclasses.replace(plan.scenario, faults=faults), stack="external")

    def no_run(*_: object) -> RunFolder:
        raise HarnessError("it was run")

    before = verb.judge_folder(RunFolder(failed))
    monkeypatch.setattr(verb, "judge_folder", lambda _: before)
    monkeypatch.setattr(verb, "run_session", no_run)
    monkeypatch.setattr(RunFolder, "read_plan", fetched)
    words = ["shrink", str(failed), "--url", URL, "--out", str(out)]
    assert call(words) == 2
    said = capsys.readouterr().err
    assert f"on this machine: touch {mark}; taken back by: rm -f {mark}" in said
    assert "say --yes" in said and "it was run" not in said
    assert call([*words, "--yes"]) == 2
    assert "could not be run: it was run" in capsys.readouterr().err
