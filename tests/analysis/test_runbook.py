"""Advice: one line for each finding that is no pass, and nothing that the data does not point to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.analysis.remedies import INSTRUMENT, OUTCOME_REMEDIES, STAGE_REMEDIES, WRONG_ANSWERS
from harness.analysis.runbook import advise, longest_stage
from harness.model.verdict import Corruption, Finding, Interval, Stages, VerdictOutcome
from harness.plan.objectives import CLAIMS, OBSERVABLES
from tests.fake_run import verdict_of
from tests.render.conftest import episode

FAIL, INCONCLUSIVE, PASS = VerdictOutcome.FAIL, VerdictOutcome.INCONCLUSIVE, VerdictOutcome.PASS


def finding(check: str, outcome: VerdictOutcome = FAIL) -> Finding:
    return Finding(check, "title", outcome, "the reason")


@pytest.mark.parametrize(
    ("stages", "recovery", "stage"),
    [
        (Stages(0.5, 1.0, 5.0, 6.0), Interval(6.0, 6.2), "restore"),
        (Stages(3.1, 3.6, 15.0, 15.2), Interval(3.6, 3.8), "detect"),  # the standby served long before it was restored
        (Stages(0.5, 0.6, 0.7, 0.8), Interval(9.0, 9.5), "users"),
        (Stages(0.2, 0.4, 0.6, 5.0), Interval(5.0, 5.1), "verify"),
        (Stages(0.2, 3.0, None, None), Interval(8.0, None), "isolate"),
    ],
)
def test_the_stage_that_users_waited_for_is_named(stages: Stages, recovery: Interval, stage: str) -> None:
    found = longest_stage(episode(1, stages=stages, recovery_s=recovery))
    assert found is not None
    assert found[0] == stage


def test_a_stage_beside_one_that_was_not_seen_has_no_length() -> None:
    assert longest_stage(episode(1, stages=Stages(None, None, 5.0, None), recovery_s=Interval(5.0, 5.1))) is None
    assert longest_stage(episode(1, stages=Stages(), recovery_s=Interval(5.0, None))) is None
    assert longest_stage(episode(1, recovery_s=None)) is None


def test_a_slow_recovery_names_episode_stage_and_remedy() -> None:
    (advice,) = advise([finding("observe.recovery_s")], [episode(1), episode(2, recovery_s=Interval(9.0, 9.1))])
    assert advice.symptom == "the reason"
    assert advice.cause.startswith("In episode 2 users waited longest for the stage restore: 3.6 s")
    assert advice.remedy == STAGE_REMEDIES["restore"]


def test_wrong_answers_name_the_damage_and_whether_a_detector_fired() -> None:
    damage = Corruption("weights.bit_flip on primary", None, None, "x", None, None)
    (advice,) = advise([finding("observe.wrong_answers")], [episode(1, corruptions=(damage,), wrong_answers=3)])
    assert advice.cause == "In episode 1, weights.bit_flip on primary: no detector fired."
    assert advice.remedy == WRONG_ANSWERS
    fired = replace(damage, detector="manifest", detected_s=4.0)
    (advice,) = advise([finding("observe.wrong_answers")], [episode(1, corruptions=(fired,))])
    assert "manifest fired 4.0 s after the fault" in advice.cause


def test_lost_requests_are_advised_on_by_how_most_were_lost() -> None:
    (advice,) = advise([finding("observe.lost_requests")], [episode(1)])
    assert advice.cause == "Most were refused: 80 of 120 lost in episode 1."
    assert advice.remedy == OUTCOME_REMEDIES["refused"]
    (advice,) = advise([finding("observe.truncated")], [episode(1)])
    assert advice.remedy == OUTCOME_REMEDIES["truncated"]


def test_findings_that_pass_need_no_advice_and_failures_come_first() -> None:
    found = advise([finding("baseline", INCONCLUSIVE), finding("complete", PASS), finding("observe.restarts")], [])
    assert [one.check for one in found] == ["observe.restarts", "baseline"]


@pytest.mark.parametrize(
    "check", [*(f"observe.{name}" for name in OBSERVABLES), *(f"claim.{name}" for name in CLAIMS), *INSTRUMENT, "new"]
)
@pytest.mark.parametrize("outcome", [FAIL, INCONCLUSIVE])
def test_every_check_there_is_has_a_cause_and_a_remedy_with_and_without_episodes(
    check: str, outcome: VerdictOutcome
) -> None:
    for episodes in ([], [episode(1)], [episode(1, lost={}, recovery_s=None, stages=Stages())]):
        (advice,) = advise([finding(check, outcome)], episodes)
        assert advice.cause
        assert advice.remedy.endswith((".", "RUN EPISODE.", ")."))


def test_options_that_remedies_name_are_those_of_the_reference_target() -> None:
    root = Path(__file__).parents[2]
    known = "".join((root / "target_service" / part / "README.md").read_text() for part in ("gateway", "replica"))
    known += (root / "harness" / "model" / "supervision.py").read_text()
    import re

    for text in [*STAGE_REMEDIES.values(), *OUTCOME_REMEDIES.values(), WRONG_ANSWERS]:
        for listed in re.findall(r"\((?:gateway|replica|supervision): ([a-z_, ]+)\)", text):
            for option in listed.split(", "):
                name = option.split(" ")[0]
                assert f"--{name.replace('_', '-')}" in known or name in known, name


def test_a_run_that_fails_carries_its_advice(tmp_path: Path) -> None:
    kill = "faults: [{kind: process.kill, on: primary, at_s: 1}]\nobserve: {recovery_s: {max: 0.01}}\n"
    verdict = verdict_of(tmp_path, kill)
    assert verdict.runbook[0].check == "observe.recovery_s"
    assert "episode 1" in verdict.runbook[0].cause
