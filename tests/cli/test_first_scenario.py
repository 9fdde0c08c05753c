"""What `harness init` writes: for fast and slow servers alike a run of it has something to say."""

from __future__ import annotations

from bisect import bisect_left
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.judge import judge
from harness.analysis.validity import BASELINE_MIN_N
from harness.cli.first_scenario import BUSY_SHARE, SLOWEST_S, first_scenario, run_length_s
from harness.cli.main import call
from harness.experiment import START_UP_S
from harness.model.errors import HarnessError
from harness.model.event import Event
from harness.model.scenario import Scenario
from harness.model.verdict import Verdict, VerdictOutcome
from harness.plan.make_plan import Drawn, make_plan
from harness.plan.parse import parse_scenario
from harness.record.clock import FakeClock
from harness.session import facts
from harness.stack.external.endpoint import endpoint_of
from harness.stack.external.offer import Offer
from harness.stack.external.prompts import prompts_of
from harness.stack.fake.stack import FakeStack
from harness.stack.links import Ask
from tests.fake_run import history_of

CHATS_S = [0.05, 0.3, 0.42, 0.45, 1.5, 4.0, 12.0, SLOWEST_S]
SEEDS = [str(number) for number in range(20)]


def offer_of(chat_s: float) -> Offer:
    return Offer("/health", "/v1/models", "tiny", ("tiny",), chat_s, repeats=True, streams=True, ends_with_done=True)


def text_of(chat_s: float) -> str:
    return first_scenario(endpoint_of("http://127.0.0.1:8000"), offer_of(chat_s), "mine")


def scenario_of(chat_s: float) -> Scenario:
    return parse_scenario(text_of(chat_s), "mine.yaml")


def plan_of(chat_s: float, seed: str) -> Drawn:
    return make_plan(scenario_of(chat_s), facts(FakeStack(FakeClock())), seed)


def due(drawn: Drawn, begin_s: float, end_s: float) -> int:
    times = drawn.user.scheduled_us
    return bisect_left(times, end_s * 1e6) - bisect_left(times, begin_s * 1e6)


@pytest.mark.parametrize("chat_s", CHATS_S)
def test_no_server_is_asked_for_more_than_a_share_of_what_one_after_the_other_could_be_answered(chat_s: float) -> None:
    scenario = scenario_of(chat_s)
    assert scenario.external is not None
    assert scenario.load.rate_per_s * chat_s <= BUSY_SHARE + 1e-9
    assert scenario.load.deadline_s >= 5 * chat_s
    assert chat_s / scenario.external.golden_every_s <= 0.1, "golden answers are load, too"


@pytest.mark.parametrize("chat_s", CHATS_S)
def test_each_fault_is_met_by_users_and_the_baseline_can_be_called_steady(chat_s: float) -> None:
    scenario = scenario_of(chat_s)
    assert all(scenario.load.rate_per_s * fault.lasts_s >= 5 for fault in scenario.faults)
    for seed in SEEDS:
        drawn = plan_of(chat_s, seed)
        baseline_s = scenario.phases.baseline_s
        assert due(drawn, 0, baseline_s) >= BASELINE_MIN_N
        spans = [(baseline_s + fault.at_s, baseline_s + fault.at_s + fault.lasts_s) for fault in scenario.faults]
        least = 5 if scenario.load.arrivals == "constant" else 1
        assert all(due(drawn, *span) >= least for span in spans)


@pytest.mark.parametrize("chat_s", CHATS_S)
def test_a_recovery_can_be_told_from_none_by_the_requests_that_there_are(chat_s: float) -> None:
    scenario = scenario_of(chat_s)
    limit_s = scenario.observe["recovery_s"].max
    faults_s = max(fault.at_s + fault.lasts_s for fault in scenario.faults)
    gap_s = 1 / scenario.load.rate_per_s
    assert limit_s is not None
    assert limit_s >= faults_s + 5 + 3 * gap_s + chat_s
    assert faults_s + scenario.phases.recovery_s >= limit_s + 2 * gap_s + chat_s, "who is not served is seen to be not"
    assert f"within {limit_s - faults_s:g} s, with right answers" in scenario.hypothesis


@pytest.mark.parametrize("chat_s", CHATS_S)
def test_its_right_answers_can_be_recorded_before_the_load(chat_s: float) -> None:
    scenario = scenario_of(chat_s)
    assert scenario.external is not None
    sets = prompts_of(scenario.external, None)
    assert {name.removesuffix("_stream") for name in scenario.load.mix} <= set(sets)
    assert (2 * sum(len(prompts) for prompts in sets.values()) + 1) * chat_s < START_UP_S


class DeadAfterwards(FakeStack):
    """Comes back from nothing: when the users' link is up again, its engines hang."""

    was_down = False

    def poll(self) -> list[Event]:
        if self._target is not None:
            down = self.network.look("gateway", Ask(), past=False).seen().refused
            if self.was_down and not down:
                for name in self.target.replicas:
                    self.target.begin_fault(name, "hang", {})
            self.was_down = down
        return super().poll()


def run(out: Path, chat_s: float, monkeypatch: pytest.MonkeyPatch, **how: Any) -> Verdict:
    monkeypatch.setattr("harness.load.fake.LATENCY_S", chat_s)
    return judge(history_of(out, text_of(chat_s), head="", **how))


@pytest.mark.whole
@pytest.mark.parametrize("chat_s", [0.05, 0.42, 0.45, 1.5, 4.0, 12.0])
def test_a_server_of_that_speed_that_comes_back_passes(
    tmp_path: Path, chat_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = run(tmp_path, chat_s, monkeypatch)
    assert (verdict.outcome, verdict.episodes[0].lost_requests > 0) == (VerdictOutcome.PASS, True), verdict.reason


@pytest.mark.whole
@pytest.mark.parametrize("chat_s", [0.05, 0.42, 0.45, 1.5, 4.0, 12.0])
def test_a_server_of_that_speed_that_does_not_come_back_fails(
    tmp_path: Path, chat_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = run(tmp_path, chat_s, monkeypatch, stack=DeadAfterwards)
    assert verdict.outcome is VerdictOutcome.FAIL, verdict.reason
    assert "not over when observation ended" in verdict.reason


def test_a_server_that_is_too_slow_is_a_sentence() -> None:
    assert run_length_s(scenario_of(SLOWEST_S), SLOWEST_S) < 90 * 60
    with pytest.raises(HarnessError, match=r"http://127.0.0.1:8000: an answer took 45 s; above 30 s .*: try a smaller"):
        text_of(45.0)


@pytest.mark.parametrize(("chat_s", "minutes"), [(0.05, 2), (12.0, 31)])
def test_it_says_how_long_a_run_takes(
    tmp_path: Path,
    chat_s: float,
    minutes: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("harness.stack.external.offer.ask_what_it_offers", lambda *_: offer_of(chat_s))
    path = tmp_path / "mine.yaml"
    assert call(["init", "http://127.0.0.1:8000", "--out", str(path)]) == 0
    assert capsys.readouterr().out.endswith(f"next: harness run {path}   # takes about {minutes} min\n")
