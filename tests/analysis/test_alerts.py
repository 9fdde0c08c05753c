"""Would anybody have noticed? What fired and when; what should have; and nothing that was not known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.analysis.alerts import NO_PROMETHEUS, alert_findings, alert_report
from harness.analysis.judge import judge
from harness.model.alerts import AlertLimit, AlertRecord, AlertRule, AlertSpan
from harness.model.verdict import AlertFate, EpisodeResult, Finding
from tests.fake_run import history_of
from tests.render.conftest import episode

BEGIN_S = 20.0  # of the fault in the episode below, which ends at 60 s
ERRORS = AlertRule("Errors", "errors > 0", faults=("process.*",), severity="page", metrics=("errors",))
SLOW_TO_FIRE = replace(ERRORS, name="Sustained", for_s=300.0)
OTHER = replace(ERRORS, name="Memory", faults=("memory.*",))
RULES = (ERRORS, SLOW_TO_FIRE, OTHER)


def one(**changes: object) -> EpisodeResult:
    return replace(episode(1), faults=("process.kill on primary",), **changes)  # type: ignore[arg-type]


def firing(name: str, begin_s: float, end_s: float, silent_s: float | None = None, state: str = "firing") -> AlertSpan:
    return AlertSpan(name, state, "primary", begin_s - 1 if silent_s is None else silent_s, begin_s, end_s)


def record(*spans: AlertSpan, **changes: object) -> AlertRecord:
    known = AlertRecord(1.0, RULES, tuple(sorted(spans, key=lambda span: span.begin_s)), ((0.0, 70.0),))
    return replace(known, **changes)  # type: ignore[arg-type]


def fates(known: AlertRecord, of: EpisodeResult | None = None) -> dict[str, AlertFate]:
    (found,) = alert_report(known, [of or one()]).episodes
    return {fate.alert: fate for fate in found.fates}


def finding(known: AlertRecord | None, within_s: float, name: str = "Errors", **how: object) -> Finding:
    of = how.pop("of", None) or one()
    limits = {name: AlertLimit(within_s=within_s)}
    (found,) = alert_findings(limits, known, [of], trusted=bool(how.pop("trusted", True)))  # type: ignore[list-item]
    return found


def test_the_episode_of_these_tests_is_as_they_think() -> None:
    assert (one().fault_begin_s, one().end_s, one().valid) == (BEGIN_S, 60.0, True)


def test_an_alert_that_fired_is_said_with_how_long_it_took_as_an_interval() -> None:
    fate = fates(record(firing("Errors", 27.5, 40.0)))["Errors"]
    assert (fate.state, fate.severity) == ("fired", "page")
    assert fate.after_s is not None and (fate.after_s.low, fate.after_s.high) == (6.5, 7.5)


def test_an_alert_that_such_a_fault_can_bring_about_should_have_fired() -> None:
    known = fates(record())
    assert (known["Errors"].state, known["Errors"].words) == ("missed", "its condition was never met")
    assert "Memory" not in known, "it is about other faults"


def test_how_near_a_silent_alert_came_is_said() -> None:
    rule = replace(ERRORS, for_s=20.0)
    known = record(firing("Errors", 22.0, 30.0, state="pending"), rules=(rule,))
    assert fates(known)["Errors"].words == "its condition was met for 8.0 s, and must be for 20 s"


def test_an_alert_that_needs_longer_than_the_run_is_not_blamed() -> None:
    fate = fates(record())["Sustained"]
    assert fate.state == "too_short"
    assert fate.words == "could not fire within the 40.0 s that were observed"


def test_an_alert_that_was_firing_before_the_fault_tells_nothing_of_it() -> None:
    assert fates(record(firing("Errors", 3.0, 45.0)))["Errors"].state == "already"
    assert finding(record(firing("Errors", 3.0, 45.0)), 30).outcome == "inconclusive"


def test_one_that_began_on_another_server_during_the_fault_fired() -> None:
    known = record(firing("Errors", 3.0, 45.0), firing("Errors", 25.0, 30.0))
    assert fates(known)["Errors"].state == "fired"


def test_an_alert_whose_metric_was_never_there_is_blind_and_no_failure() -> None:
    known = record(absent={"Errors": ("errors",)})
    assert fates(known)["Errors"].state == "blind"
    found = finding(known, 30)
    assert (found.outcome, found.reason) == (
        "inconclusive",
        "episode 1: Prometheus has no sample of errors, without which Errors cannot fire",
    )


def test_silence_while_no_rule_was_evaluated_is_unknown() -> None:
    gap = ((0.0, 22.0), (31.0, 70.0))
    known = record(evaluated=gap)
    assert fates(known)["Errors"].state == "unknown"
    assert "not known" in alert_report(known, [one()]).episodes[0].noticed
    assert finding(known, 30).outcome == "inconclusive"


@pytest.mark.parametrize(
    ("spans", "within_s", "outcome", "words"),
    [
        ([firing("Errors", 27.5, 40.0)], 10, "pass", "Errors fired 7.5 s after the fault's begin"),
        ([firing("Errors", 27.5, 40.0)], 7, "inconclusive", "between 6.5 and 7.5 s"),
        ([firing("Errors", 27.5, 40.0)], 5, "fail", "Errors fired 7.5 s after"),
        ([], 30, "fail", "Errors did not fire, and must within 30 s (its condition was never met)"),
        ([], 60, "inconclusive", "had not fired when observation ended, 40.0 s after the fault"),
        ([firing("Memory", 21.0, 40.0)], 30, "fail", "Errors did not fire"),
    ],
)
def test_an_alert_that_must_fire_is_judged_by_its_interval(
    spans: list[AlertSpan], within_s: float, outcome: str, words: str
) -> None:
    found = finding(record(*spans), within_s)
    assert found.outcome == outcome
    assert words in found.reason


def test_what_cannot_be_known_is_inconclusive_never_a_pass_or_a_failure() -> None:
    fired = record(firing("Errors", 22.0, 40.0))
    assert finding(None, 30).reason == "episode 1: no Prometheus watched this run"
    assert finding(None, 30).outcome == "inconclusive"
    assert finding(record(problem="it did not answer"), 30).reason == "episode 1: it did not answer"
    assert "had no rule Other" in finding(fired, 30, name="Other").reason
    assert (
        finding(fired, 30, of=one(valid=False, invalid_reason="the fault is not proven: x")).outcome == "inconclusive"
    )
    assert finding(record(), 30, trusted=False).outcome == "inconclusive"


def test_a_rule_that_saw_less_than_its_window_does_not_pass_since_in_production_it_fires_later() -> None:
    known = record(firing("Errors", 22.0, 40.0), rules=(replace(ERRORS, range_s=300.0),))
    found = finding(known, 30)
    assert found.outcome == "inconclusive"
    assert "looks back over 300 s and only 20 s were known" in found.reason
    assert "only 20 s were known" in fates(known)["Errors"].words
    assert finding(replace(known, rules=(replace(ERRORS, range_s=20.0),)), 30).outcome == "pass"


def test_a_rule_that_saw_less_than_its_window_is_not_blamed_for_its_silence_either() -> None:
    fate = fates(record(rules=(replace(ERRORS, range_s=300.0),)))["Errors"]
    assert (fate.state, fate.after_s) == ("no_window", None)
    assert fate.words == "window longer than the 20 s that were known before the fault"


def test_the_episode_is_told_in_a_sentence_with_what_users_lost() -> None:
    lost = one(lost_requests=12, requests=100)

    def noticed(*spans: AlertSpan, of: EpisodeResult = lost) -> str:
        return alert_report(record(*spans), [of]).episodes[0].noticed

    assert noticed() == "users lost 12 of 100 requests, and no alert fired: nobody would have been told"
    assert noticed(of=one(lost_requests=0)) == "users lost nothing, and no alert fired"
    told = noticed(firing("Memory", 30.0, 40.0), firing("Errors", 24.0, 40.0))
    assert told == "users lost 12 of 100 requests; Errors fired 4.0 s after the fault's begin"
    tickets = (replace(ERRORS, severity="ticket"), OTHER)
    both = record(firing("Memory", 30.0, 40.0), firing("Errors", 24.0, 40.0), rules=tickets)
    (of_both,) = alert_report(both, [lost]).episodes
    assert of_both.noticed.endswith(
        "Errors fired 4.0 s after the fault's begin; the first page was Memory after 10.0 s"
    )
    only = replace(both, spans=both.spans[:1])
    assert alert_report(only, [lost]).episodes[0].noticed.endswith("which is no page")


def test_a_run_without_a_prometheus_says_so_in_one_sentence() -> None:
    assert alert_report(None, [one()]).note == NO_PROMETHEUS
    assert alert_report(record(problem="x"), [one()]).note == "Whether an alert would have fired is not known: x."


def test_the_judge_says_it_of_a_run_and_merges_what_must_fire_into_the_verdict(tmp_path: Path) -> None:
    text = "faults: [{kind: process.kill, at_s: 1}]\nobserve: {lost_requests: {max: 100000}}\n"
    history = history_of(tmp_path, text)
    assert judge(history).outcome == "pass"
    assert judge(history).alerts is not None
    asked = replace(history.plan.scenario, alerts={"Errors": AlertLimit(within_s=4)})
    history = replace(history, plan=replace(history.plan, scenario=asked))
    assert judge(history).outcome == "inconclusive"
    (begun,) = (event.at_s for event in history.events if event.kind == "fault_begin")
    known = AlertRecord(1.0, RULES, (firing("Errors", begun + 2, begun + 9),), ((0.0, begun + 60),))
    assert judge(replace(history, alerts=known)).outcome == "pass"
    silent = judge(replace(history, alerts=replace(known, spans=())))
    assert silent.outcome == "fail"
    assert "promtool" in next(advice.remedy for advice in silent.runbook if advice.check == "alerts.Errors")
