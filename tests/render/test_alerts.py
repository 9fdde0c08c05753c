"""What the reports say of alerts: in every format, escaped, and in one sentence where nothing watched the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.analysis.alerts import NO_PROMETHEUS
from harness.model.verdict import AlertFate, AlertReport, EpisodeAlerts, Interval, Verdict
from harness.render import from_json, to_html, to_json, to_markdown
from harness.render.alerts import alert_cells, alert_intro
from tests.render.conftest import HOSTILE

FIRED = AlertFate("Stalled", "page", "fired", Interval(10.2, 11.2), 10.0, "")
MISSED = AlertFate("LowSuccessRate", "page", "missed", None, 60.0, "its condition was never met")
SHORT = AlertFate(
    "HighErrorRate", "page", "too_short", None, 300.0, "could not fire within the 40.0 s that were observed"
)
OTHER = AlertFate("Slow", "page", "too_short", None, 60.0, SHORT.words)
REPORT = AlertReport(
    "15 alert rules, evaluated every 1 s by a Prometheus beside the run.",
    (EpisodeAlerts(1, "users lost 12 of 100 requests, and Stalled fired 11.2 s after", (FIRED, MISSED, SHORT, OTHER)),),
)


@pytest.fixture
def verdict(verdicts: dict[str, Callable[[], Verdict]]) -> Verdict:
    return replace(verdicts["pass"](), alerts=REPORT)


def test_a_row_says_what_fired_what_should_have_and_what_could_not() -> None:
    assert alert_cells(REPORT) == [
        (
            "1",
            "Stalled (page): 10.2 to 11.2 s, 10 s at the earliest",
            "LowSuccessRate: its condition was never met",
            "HighErrorRate (300 s), Slow (60 s): could not fire within the 40.0 s that were observed",
        )
    ]


@pytest.mark.parametrize("render", [to_markdown, to_html])
def test_both_reports_have_the_question_its_answer_and_the_table(
    verdict: Verdict, render: Callable[[Verdict], str]
) -> None:
    text = render(verdict)
    assert "Would anybody have noticed?" in text
    assert "users lost 12 of 100 requests, and Stalled fired 11.2 s after" in text
    assert "10.2 to 11.2 s, 10 s at the earliest" in text
    assert "Would anybody have noticed?" not in render(replace(verdict, alerts=None))
    assert NO_PROMETHEUS in render(replace(verdict, alerts=AlertReport(NO_PROMETHEUS)))


@pytest.mark.parametrize("render", [to_markdown, to_html])
def test_hostile_words_of_a_rule_are_escaped(verdict: Verdict, render: Callable[[Verdict], str]) -> None:
    hostile = replace(REPORT.episodes[0], noticed=HOSTILE, fates=(replace(FIRED, alert=HOSTILE, words=HOSTILE),))
    assert "<script>alert" not in render(replace(verdict, alerts=AlertReport(HOSTILE, (hostile,))))


def test_of_a_thousand_episodes_the_first_are_shown_and_the_others_are_said_to_be_elsewhere() -> None:
    many = AlertReport("note", tuple(replace(REPORT.episodes[0], episode=number) for number in range(1, 1001)))
    assert len(alert_cells(many)) == 50
    assert alert_intro(many)[-1] == "The first 50 episodes; the other 950 are in verdict.json."


def test_the_verdict_keeps_them_without_loss(verdict: Verdict) -> None:
    assert from_json(to_json(verdict)).alerts == REPORT
    assert from_json(to_json(replace(verdict, alerts=None))).alerts is None
