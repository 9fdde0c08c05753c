"""Rules over a sliding window: when they hold, for how long, and that memory does not grow with the lines."""

from __future__ import annotations

import re

import pytest

from harness.analysis.log_rules import BUILT_IN, HITS_MAX, RuleWatch
from harness.model.log_evidence import LogRecord, LogRule, RuleHit

BEGIN_S = 100.0


def held(rule: LogRule, times: list[float], source: str = "a.log", text: str = "it fails") -> tuple[RuleHit, ...]:
    watch = RuleWatch((rule,), BEGIN_S, BEGIN_S + 1000)
    for at_s in times:
        watch.add(LogRecord(BEGIN_S + at_s, source, text))
    return watch.found()


def test_a_rule_holds_when_so_many_lines_match_within_its_window() -> None:
    rule = LogRule(name="n", pattern="FAILS", at_least=3, within_s=5)
    assert held(rule, [1, 5, 9, 13]) == ()
    assert held(rule, [1, 10, 12, 14, 30]) == (RuleHit("n", "a.log", 10, 14, 3, "it fails"),)


def test_it_goes_on_holding_while_lines_follow_within_a_window_and_then_anew() -> None:
    rule = LogRule(name="n", pattern="fails", at_least=2, within_s=5)
    found = held(rule, [1, 2, 6, 11, 40, 41])
    assert [(hit.begin_s, hit.end_s, hit.lines) for hit in found] == [(1, 11, 4), (40, 41, 2)]


@pytest.mark.parametrize("pattern", ["Fails|never", "F.ils", r"\bfails$"])
def test_words_and_expressions_match_upper_and_lower_case_alike(pattern: str) -> None:
    assert len(held(LogRule(name="n", pattern=pattern), [1], text="it FAILS")) == 1
    assert held(LogRule(name="n", pattern=pattern), [1], text="it works") == ()


def test_lines_of_two_logs_are_not_added_up() -> None:
    watch = RuleWatch((LogRule(name="n", pattern="x", at_least=2),), BEGIN_S, BEGIN_S + 10)
    watch.add(LogRecord(BEGIN_S + 1, "a.log", "x"))
    watch.add(LogRecord(BEGIN_S + 1, "b.log", "x"))
    assert watch.found() == ()


def test_access_logs_are_searched_only_by_a_rule_that_says_so_and_other_times_are_passed_over() -> None:
    assert held(LogRule(name="n", pattern="503"), [1], "g.access.log", "503") == ()
    assert len(held(LogRule(name="n", pattern="503", access=True), [1], "g.access.log", "503")) == 1
    assert held(LogRule(name="n", pattern="fails"), [-1, 1001]) == ()


def test_hits_beyond_what_a_report_can_hold_are_counted() -> None:
    watch = RuleWatch((LogRule(name="n", pattern="x", within_s=1),), BEGIN_S, BEGIN_S + 10_000)
    for at_s in range(HITS_MAX + 7):
        watch.add(LogRecord(BEGIN_S + at_s * 10, "a.log", "x"))
    assert (len(watch.found()), watch.left_out) == (HITS_MAX, 7)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Out of memory: Killed process 12", "a server ran out of memory"),
        ("OSError: [Errno 28] No space left on device", "a disk is full"),
        ("INFO exited: primary (terminated by SIGKILL; not expected)", "a process was killed or crashed"),
        ("error the model is not served: manifest: model.safetensors sha256 differs", "a model is refused"),
        ("Traceback (most recent call last):", "a program's error with its stack"),
    ],
)
def test_the_built_in_rules_know_what_servers_say(text: str, rule: str) -> None:
    assert rule in [one.name for one in BUILT_IN if one.at_least == 1 and re.search(one.pattern, text, re.IGNORECASE)]


def test_a_pattern_that_is_no_regular_expression_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'\(' is no regular expression"):
        LogRule(name="n", pattern="(")
