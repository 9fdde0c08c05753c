"""The words of outcomes and stages, and the order of episodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from harness.model.request import Outcome
from harness.model.verdict import Interval, Stages, Verdict
from harness.render.words import BAD_OUTCOMES, OUTCOMES, lost_words, missing_stages, worst_first


def test_every_outcome_has_its_word_and_only_good_and_uncounted_ones_are_not_bad() -> None:
    assert set(OUTCOMES) == set(Outcome)
    assert set(Outcome) - set(BAD_OUTCOMES) == {Outcome.OK, Outcome.NOT_SENT, Outcome.IN_FLIGHT_AT_END}


def test_what_was_lost_is_told_with_the_most_first_and_without_what_was_not_lost() -> None:
    lost = {"ok": 9, "wrong_answer": 1, "http_error": 1200, "timeout": 0, "in_flight_at_end": 3}
    assert lost_words(lost) == "1,200 HTTP errors, 1 wrong answer"
    assert lost_words({}) == ""


def test_the_worst_episode_is_one_that_never_recovered_then_the_slowest(
    verdicts: dict[str, Callable[[], Verdict]],
) -> None:
    one = verdicts["fail"]().episodes[0]
    recoveries = {1: None, 2: Interval(3.0, 3.1), 3: Interval(9.0, 9.2), 4: Interval(2.0, None)}
    episodes = [replace(one, number=number, recovery_s=recovery) for number, recovery in recoveries.items()]
    assert [episode.number for episode in worst_first(episodes)] == [4, 3, 2, 1]


def test_stages_that_were_not_seen_are_named(verdicts: dict[str, Callable[[], Verdict]]) -> None:
    one = replace(verdicts["fail"]().episodes[0], stages=Stages(detect_s=0.0, restore_s=2.0))
    assert missing_stages(one) == ["isolate", "verify"]
