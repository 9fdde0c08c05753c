"""Which detector fired and how long damage was served, as every report says it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.model.verdict import Corruption, Interval, Verdict
from harness.render.html import to_html
from harness.render.markdown import to_markdown
from harness.render.verdict_json import from_json, to_json
from harness.render.words import corruption_cells

FIRST = "a wrong answer, the first of 9"
SEEN = Corruption("weights.bit_flip on primary", "manifest", 5.0, FIRST, Interval(4.0, 5.0), "detector")
REFUSED = Corruption("weights.nan on standby", "finite_check", 1.5, "no answer was shown", None, None)
ENDLESS = Corruption("weights.prune on primary", None, None, FIRST, Interval(30.0, None), None)


@pytest.fixture
def verdict(verdicts: dict[str, Callable[[], Verdict]]) -> Verdict:
    made = verdicts["fail"]()
    first, *others = made.episodes
    return replace(made, episodes=(replace(first, corruptions=(SEEN, REFUSED, ENDLESS)), *others))


@pytest.mark.parametrize(
    ("one", "detector", "silent"),
    [
        (
            SEEN,
            "manifest, 5.0 s after the fault",
            "4.0–5.0 s until the detector fired (a wrong answer, the first of 9)",
        ),
        (REFUSED, "finite_check, 1.5 s after the fault", "not shown: no answer was shown"),
        (ENDLESS, "none fired", "≥ 30.0 s to the end of the run (a wrong answer, the first of 9)"),
    ],
)
def test_the_words(one: Corruption, detector: str, silent: str) -> None:
    assert corruption_cells(one) == (one.fault, detector, silent)


def test_every_report_tells_it(verdict: Verdict) -> None:
    page, text = to_html(verdict), to_markdown(verdict)
    assert '<h2 id="h-corruptions">Damaged models</h2>' in page
    assert "### Damaged models" in text
    for one in (SEEN, REFUSED, ENDLESS):
        assert corruption_cells(one)[2] in page
    assert text.count("weights.bit") == 1


def test_a_report_without_damaged_models_has_no_such_part(verdicts: dict[str, Callable[[], Verdict]]) -> None:
    assert "Damaged models" not in to_html(verdicts["fail"]()) + to_markdown(verdicts["fail"]())


def test_it_survives_json_and_an_older_verdict_has_none(verdict: Verdict) -> None:
    assert from_json(to_json(verdict)) == verdict
    older = to_json(replace(verdict, episodes=tuple(replace(e, corruptions=()) for e in verdict.episodes)))
    assert "corruptions" in older
    from_json(older.replace('"corruptions": []', '"valid": true'))
