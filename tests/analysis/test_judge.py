"""The judge never claims more than the history shows."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.judge import judge
from harness.analysis.stages import observed_stages
from harness.model.event import Event
from harness.model.health import Health, ProbeHealth
from harness.model.history import History
from harness.model.verdict import Stages
from harness.render import RENDERERS
from harness.stack.reference.gateway_events import gateway_events
from tests.fake_run import history_of, run_fake, with_column, with_events

KILL = "faults:\n  - {kind: process.kill}\n"
INDICES = st.sets(st.integers(0, 329), max_size=60)
LIMITS = "observe:\n  recovery_s: {max: 5}\n  lost_requests: {max: 50}\n  wrong_answers: {max: 0}\n"


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> History:
    return history_of(tmp_path_factory.mktemp("killed"), KILL + LIMITS)


def users(history: History) -> np.ndarray:
    return np.flatnonzero(history.requests["lane"] == "user")


def test_a_sound_run_passes_with_its_stages_and_every_request_accounted_for(killed: History) -> None:
    verdict = judge(killed)
    (episode,) = verdict.episodes
    assert verdict.outcome == "pass", verdict.reason
    assert sum(verdict.sli["outcomes"].values()) == killed.plan.requests
    assert episode.stages.detect_s == pytest.approx(0.25, abs=0.05)
    assert episode.stages.restore_s == pytest.approx(3.0, abs=0.05)
    assert episode.stages.verify_s == pytest.approx(3.25, abs=0.05)
    assert episode.fault_end_s == pytest.approx(8.0, abs=0.1)
    assert verdict.estimates["mttr_s"].n == verdict.estimates["mttd_s"].n == 1
    assert verdict.estimates["recovery_s_p95"].value is None


@pytest.mark.whole
def test_more_losses_never_turn_a_fail_into_a_pass(killed: History) -> None:
    rows = users(killed)
    order = {"pass": 2, "inconclusive": 1, "fail": 0}
    begin_s = next(event.fields["begin_s"] for event in killed.events if event.kind == "schedule_begin")
    baseline_end_us = (begin_s + killed.plan.windows[0].end_s) * 1e6
    # Losses in the baseline are another matter: they change what is normal, and so what counts as recovered.
    later = [i for i, row in enumerate(rows) if killed.requests["scheduled_us"][row] > baseline_end_us]

    def lose(which: set[int]) -> str:
        outcome = np.array(killed.requests["outcome"], dtype=object)
        outcome[rows[sorted(which)]] = "refused"
        return judge(with_column(killed, "outcome", lambda _: outcome)).outcome

    @settings(max_examples=20, deadline=None)
    @given(INDICES, st.sets(st.sampled_from(later), max_size=60))
    def check(some: set[int], more: set[int]) -> None:
        few, many = lose(some), lose(some | more)
        # a baseline that losses made unsteady is inconclusive, so a fail may become that, but nothing becomes a pass
        assert many != "pass" or few == "pass"
        assert order[many] <= order[few] or few == "fail"

    check()


def test_a_baseline_that_was_not_steady_is_inconclusive(killed: History) -> None:
    def change(outcome: np.ndarray) -> np.ndarray:
        outcome[users(killed)[:30]] = "http_error"
        return outcome

    verdict = judge(with_column(killed, "outcome", change))
    assert verdict.outcome == "inconclusive"
    assert "not steady" in verdict.reason


def test_a_generator_that_fell_behind_is_inconclusive(killed: History) -> None:
    verdict = judge(with_column(killed, "sent_us", lambda sent: sent + 60_000))
    assert verdict.outcome == "inconclusive"
    assert any("fell behind" in finding.reason for finding in verdict.findings)


@pytest.mark.parametrize("at", [5, -5])
def test_a_wrong_answer_fails_wherever_it_was_given_and_however_bad_the_rest_is(killed: History, at: int) -> None:
    def change(outcome: np.ndarray) -> np.ndarray:
        outcome[users(killed)[at]] = "wrong_answer"
        return outcome

    late = with_column(killed, "sent_us", lambda sent: sent + 60_000)
    assert judge(with_column(late, "outcome", change)).outcome == "fail"


@pytest.mark.parametrize("kind", ["run_end", "schedule_begin", "fault_begin", "fault_proof"])
def test_a_history_without_one_of_its_cornerstones_is_never_a_pass(killed: History, kind: str) -> None:
    assert (
        judge(with_events(killed, lambda e: None if e.kind == kind else e)).outcome != "pass"
        or kind == "schedule_begin"
    )


def test_a_run_that_ended_without_saying_why_is_inconclusive(killed: History) -> None:
    def give_up(event: Event) -> Event:
        return (
            Event(event.at_s, event.kind, {**event.fields, "interrupted": True}) if event.kind == "run_end" else event
        )

    verdict = judge(dataclasses.replace(with_events(killed, give_up), complete=False))
    assert verdict.outcome == "inconclusive"


def test_a_run_killed_at_any_event_is_judged_without_a_traceback_and_never_passed(killed: History) -> None:
    for length in range(0, len(killed.events), 7):
        verdict = judge(dataclasses.replace(killed, events=killed.events[:length], complete=False))
        assert verdict.outcome == "inconclusive"
        assert all(renderer(verdict) for renderer in RENDERERS.values()) if length % 35 == 0 else True


def test_a_report_says_how_many_runs_its_target_had_served_before(killed: History) -> None:
    def third(event: Event) -> Event:
        return Event(event.at_s, event.kind, {"runs_before": 2}) if event.kind == "stack_up" else event

    assert "runs_before" not in judge(killed).run
    verdict = judge(with_events(killed, third))
    assert verdict.run["runs_before"] == 2
    assert "runs that this target had served before, and left as it came up" in RENDERERS["report.html"](verdict)


@pytest.mark.parametrize(("seen", "said"), [(None, "1 of 1 health checks stayed green through a fault; "), (0.1, "")])
def test_a_run_that_measures_health_checks_passes_without_praising_them(
    killed: History, seen: float | None, said: str
) -> None:
    probe = ProbeHealth("GET /health", {"hangs": seen}, {"hangs": 10.0}, None, 0, None, "")
    found = Health("fake", (probe,), ())
    verdict, plain = judge(dataclasses.replace(killed, health=found)), judge(killed)
    assert verdict.health == found
    assert verdict.outcome == plain.outcome == "pass" and verdict.findings == plain.findings
    assert verdict.reason.startswith(
        f"{said}nothing is limited here, so a pass says only that the run can be believed: "
    )
    assert "every objective holds" not in verdict.reason


def test_a_run_without_any_request_is_judged_and_inconclusive(killed: History) -> None:
    empty = {name: column[:0] for name, column in killed.requests.items()}
    for events in ([], killed.events):
        verdict = judge(dataclasses.replace(killed, requests=empty, events=events))
        assert verdict.outcome == "inconclusive"
        assert verdict.sli["scheduled"] == 0


def test_a_request_without_a_record_is_noticed(killed: History) -> None:
    fewer = {name: column[:-1] for name, column in killed.requests.items()}
    finding = next(f for f in judge(dataclasses.replace(killed, requests=fewer)).findings if f.check == "accounting")
    assert finding.outcome == "inconclusive" or fewer["lane"][-1] != "user"


def test_stages_that_were_not_seen_are_null_and_a_relapse_is_not_a_restoration() -> None:
    def event(at_s: float, kind: str, **fields: object) -> Event:
        return Event(at_s, f"target.{kind}", {"replica": "a", **fields})

    assert observed_stages([], "a", 10, 20) == Stages()
    before = [event(9, "beat_missed"), event(9.5, "isolated", last_routed_s=9.0)]
    assert observed_stages(before, "a", 10, 20) == Stages()
    seen = [
        event(11, "isolated", last_routed_s=10.5),
        event(12, "ready_green"),
        event(13, "readmitted"),
        event(14, "isolated"),
    ]
    assert observed_stages(seen, "a", 10, 20) == Stages(None, 0.5, None, None)
    seen += [event(15, "ready_green"), event(16, "readmitted")]
    assert observed_stages(seen, "a", 10, 20) == Stages(None, 0.5, 5, 6)
    assert observed_stages(seen, "b", 10, 20) == Stages()


def test_a_replica_that_is_ejected_while_its_beats_are_green_was_detected_then() -> None:
    rows = [
        {"seq": 1, "at_s": 111.5, "kind": "ejected", "replica": "a", "failures": 5},
        {"seq": 2, "at_s": 111.5, "kind": "isolated", "replica": "a", "missed": 0, "last_routed_s": 111.4},
        {"seq": 3, "at_s": 112.0, "kind": "beat_missed", "replica": "a", "missed": 1},
    ]
    assert observed_stages(gateway_events(rows, 100.0, "i"), "a", 10, 20) == Stages(1.5, pytest.approx(1.4), None, None)
    assert observed_stages(gateway_events(rows[1:], 100.0, "i"), "a", 10, 20).detect_s == pytest.approx(2.0)


def test_a_breaker_that_opens_first_is_the_detection_and_isolates_nobody_by_itself() -> None:
    rows = [
        {"seq": 1, "at_s": 110.75, "kind": "breaker_opened", "replica": "a", "failures": 5},
        {"seq": 2, "at_s": 111.0, "kind": "breaker_half_open", "replica": "a", "failures": 5},
        {"seq": 3, "at_s": 111.25, "kind": "breaker_opened", "replica": "a", "failures": 6},
        {"seq": 4, "at_s": 111.5, "kind": "beat_missed", "replica": "a", "missed": 1},
    ]

    def stages(chosen: list[dict[str, object]]) -> Stages:
        return observed_stages(gateway_events(chosen, 100.0, "i"), "a", 10, 20)

    assert stages(rows) == Stages(detect_s=0.75)
    assert stages([rows[3]]) == Stages(detect_s=1.5)
    assert stages([rows[1]]) == Stages(), "a breaker that lets requests try has noticed nothing new"
    isolated = {"seq": 5, "at_s": 112.0, "kind": "isolated", "replica": "a", "missed": 3, "last_routed_s": 110.7}
    assert stages([*rows, isolated]) == Stages(0.75, pytest.approx(0.7), None, None)


def test_the_recipe_in_the_report_gives_the_headline_numbers_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_fake(tmp_path, KILL + LIMITS)
    verdict = judge(run.read())
    run.write("verdict.json", json.dumps({"run": verdict.run}))
    monkeypatch.chdir(run.path)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(verdict.recompute, {})
    assert f"lost {verdict.sli['lost']} of {verdict.sli['eligible']}" in said.getvalue()
    assert f"baseline latency p99 in ms {verdict.phases[0].latency_ms_p99}" in said.getvalue()
