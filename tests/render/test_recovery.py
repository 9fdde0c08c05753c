"""How a recovery is split into stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from harness.model.verdict import EpisodeResult, Stages, Verdict
from harness.render.recovery import recovery_chart, recovery_height, stage_segments
from harness.render.svg import Canvas


def _segments(verdicts: dict[str, Callable[[], Verdict]], stages: Stages) -> list[tuple[str, float, float]]:
    one: EpisodeResult = replace(verdicts["fail"]().episodes[0], stages=stages)
    return list(stage_segments(one))


def test_four_moments_make_four_segments(verdicts: dict[str, Callable[[], Verdict]]) -> None:
    found = _segments(verdicts, Stages(0.5, 1.5, 5.0, 6.0))
    assert found == [("detect", 0.0, 0.5), ("isolate", 0.5, 1.5), ("restore", 1.5, 5.0), ("verify", 5.0, 6.0)]


def test_time_beside_a_stage_that_was_not_seen_belongs_to_no_stage(verdicts: dict[str, Callable[[], Verdict]]) -> None:
    found = _segments(verdicts, Stages(detect_s=0.5, restore_s=5.0))
    assert found == [("detect", 0.0, 0.5), ("unknown", 0.5, 5.0)]
    assert _segments(verdicts, Stages()) == []


def test_a_stage_that_came_before_the_one_before_it_has_no_length(verdicts: dict[str, Callable[[], Verdict]]) -> None:
    found = _segments(verdicts, Stages(1.0, 0.4, 5.0, 6.0))
    assert found == [("detect", 0.0, 1.0), ("restore", 1.0, 5.0), ("verify", 5.0, 6.0)]


def test_the_chart_tells_in_words_what_it_shows(verdicts: dict[str, Callable[[], Verdict]]) -> None:
    canvas = Canvas("x", 900, recovery_height(2, wide=True))
    text = recovery_chart(verdicts["fail"]().episodes, canvas)
    assert (
        "episode 1: recovered after 6.3–6.4 s; episode 2: recovered after 2.1–2.3 s · not observable: isolate, verify"
        in text
    )
