"""What the logs point to, in every report that people read: escaped, marked on the timeline, and no verdict."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.model.log_evidence import LogEvidence, LogMark, RuleHit
from harness.model.verdict import Verdict
from harness.render.html import to_html
from harness.render.markdown import to_markdown
from harness.render.verdict_json import from_json, to_json

HOSTILE = "<script>alert(1)</script>"
HIT = RuleHit(f"a rule {HOSTILE}", f"{HOSTILE}.log", 20.5, 31.25, 12, f"the line {HOSTILE}")
FOUND = LogEvidence(
    1.0,
    90,
    30,
    "",
    (LogMark(60.0, 70.0, 0.58, "0.5 times the baseline's requests"),),
    10,
    2.9,
    (HIT,),
    ("no times in x",),
)


@pytest.fixture
def verdict(verdicts: dict[str, Callable[[], Verdict]]) -> Verdict:
    made = verdicts["pass"]()
    marks = (*made.marks, {"kind": "unusual", "begin_s": 30.0, "end_s": 40.0})
    return replace(made, log_evidence=FOUND, marks=marks)


@pytest.mark.parametrize("render", [to_html, to_markdown])
def test_unusual_windows_come_with_how_many_chance_would_give(
    verdict: Verdict, render: Callable[[Verdict], str]
) -> None:
    text = render(verdict).replace("&#39;", "'").replace("\\", "")
    assert "10 of 90 windows of 1 s after the baseline are less usual than every one of the baseline's 30" in text
    assert "about 2.9 would be by chance alone" in text
    assert "<script>" not in render(verdict)
    assert "part of the verdict" in text


@pytest.mark.parametrize("render", [to_html, to_markdown])
def test_why_nothing_can_be_said_is_said(verdict: Verdict, render: Callable[[Verdict], str]) -> None:
    why = "not estimable: the baseline has 4 windows"
    text = render(replace(verdict, log_evidence=LogEvidence(1.0, 90, 4, why)))
    assert why in text


@pytest.mark.parametrize("render", [to_html, to_markdown])
def test_a_run_without_logs_has_no_such_part(verdict: Verdict, render: Callable[[Verdict], str]) -> None:
    text = render(replace(verdict, log_evidence=None))
    assert "Rules and unusual windows" not in text
    assert "What the logs point to" not in text


def test_the_timeline_has_a_bar_where_the_logs_are_unusual(verdict: Verdict) -> None:
    def drawn(text: str) -> int:
        return len(re.findall(r"<path", text))

    calm = to_html(replace(verdict, marks=tuple(m for m in verdict.marks if m["kind"] != "unusual")))
    assert drawn(to_html(verdict)) == drawn(calm) + 4  # requests and latency, each for a desk and for a phone


def test_it_survives_the_json(verdict: Verdict) -> None:
    assert from_json(to_json(verdict)).log_evidence == FOUND
    assert from_json(to_json(replace(verdict, log_evidence=None))).log_evidence is None
