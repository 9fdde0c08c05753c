"""How long a damaged model was served before anything noticed: on histories of a few hand-made lines."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.analysis.corruption import observed_corruptions, unnoticed_s
from harness.analysis.frame import OUTCOMES
from harness.analysis.judge import judge
from harness.model.event import Event
from harness.model.verdict import Corruption, Interval
from tests.fake_run import history_of, verdict_of

BEGIN_S, END_S = 100.0, 160.0
DAMAGE = Event(BEGIN_S, "fault_begin", {"episode": 1, "fault": 0, "fault_kind": "weights.bit_flip", "on": "primary"})
HELD = Event(101.0, "fault_proof", {"episode": 1, "fault": 0, "proven": True, "evidence": "", "holds_altered": True})
BACK = Event(130.0, "fault_end", {"episode": 1, "fault": 0})


def users(*rows: tuple[float, float, str, str | None]) -> pd.DataFrame:
    """Sent, done, outcome, who served it."""
    sent, done, outcome, served_by = zip(*rows, strict=True) if rows else ((), (), (), ())
    return pd.DataFrame(
        {
            "sent_s": np.array(sent, dtype=float),
            "done_s": np.array(done, dtype=float),
            "code": np.array([OUTCOMES.index(name) for name in outcome], dtype=np.int8),
            "served_by": pd.Categorical(list(served_by), categories=["primary", "standby"]),
        }
    )


def detector(at_s: float, detected_s: float | None, name: str = "manifest", on: str = "primary") -> Event:
    fields = {"replica": on, "detector": name, "reason": f"{name}: x", "detected_s": detected_s}
    return Event(at_s, "target.integrity_failed", fields)


def one(events: list[Event], target: list[Event], frame: pd.DataFrame) -> Corruption:
    (found,) = observed_corruptions(events, target, frame, END_S)
    return found


def test_from_the_damage_or_the_first_wrong_answer_to_the_detector() -> None:
    frame = users((99, 99.5, "wrong_answer", "primary"), (102, 103, "wrong_answer", "primary"), (104, 105, "ok", None))
    found = one([DAMAGE, BACK], [detector(106.2, 106.0)], frame)
    assert found.silent_s == Interval(3.0, 6.0)
    assert (found.fault, found.detector, found.detected_s, found.ended_by) == (
        "weights.bit_flip on primary", "manifest", 6.0, "detector",
    )  # fmt: skip
    assert found.served == "a wrong answer, the first of 1"


def test_right_answers_count_once_the_process_was_seen_to_hold_altered_bytes() -> None:
    frame = users((100.5, 101.5, "ok", "primary"), (101.5, 102.5, "ok", "primary"), (103, 104, "ok", "primary"))
    found = one([DAMAGE, HELD, BACK], [detector(110.0, 110.0, "fingerprint")], frame)
    assert found.silent_s == Interval(7.5, 10.0)
    assert found.served == "an answer from a process that held altered bytes, the first of 2"
    assert one([DAMAGE, BACK], [detector(110.0, 110.0)], frame).silent_s is None


def test_a_file_that_was_refused_served_nobody_whatever_others_answered() -> None:
    frame = users((105, 106, "ok", "standby"), (107, 108, "wrong_answer", "standby"))
    found = one([DAMAGE, BACK], [detector(102.0, 101.5)], frame)
    assert (found.silent_s, found.detector, found.detected_s) == (None, "manifest", 1.5)
    assert found.served == "no answer was shown to come from the damaged model"


@pytest.mark.parametrize(
    ("target", "silent", "ended_by"),
    [
        ([], Interval(27.0, 30.0), "inverse"),
        ([Event(110.0, "target.isolated", {"replica": "primary"})], Interval(7.0, 10.0), "isolation"),
        # It was isolated for its restart, before anybody was served from the damage: that noticed nothing.
        ([Event(101.0, "target.isolated", {"replica": "primary"})], Interval(27.0, 30.0), "inverse"),
        ([Event(110.0, "target.isolated", {"replica": "standby"})], Interval(27.0, 30.0), "inverse"),
        ([Event(112.0, "target.golden_failed", {"replica": "primary"})], Interval(9.0, 12.0), "detector"),
        ([detector(140.0, 140.0)], Interval(27.0, 30.0), "inverse"),
        ([detector(110.0, 90.0)], Interval(27.0, 30.0), "inverse"),
        ([detector(131.0, 129.0)], Interval(26.0, 29.0), "detector"),
        ([detector(110.0, None)], Interval(7.0, 10.0), "detector"),
    ],
)
def test_it_ends_at_whatever_came_first(target: list[Event], silent: Interval, ended_by: str) -> None:
    found = one([DAMAGE, BACK], target, users((102, 103, "wrong_answer", "primary")))
    assert (found.silent_s, found.ended_by) == (silent, ended_by)


def test_what_nothing_ended_is_open_at_the_end_of_observation() -> None:
    found = one([DAMAGE], [], users((102, 103, "wrong_answer", "primary")))
    assert (found.silent_s, found.ended_by, found.detector) == (Interval(57.0, None), None, None)


def test_a_detector_that_fired_before_the_first_answer_was_whole_leaves_no_time_below_zero() -> None:
    found = one([DAMAGE, BACK], [detector(103.0, 102.5)], users((102, 103, "wrong_answer", "primary")))
    assert found.silent_s == Interval(0.0, 2.5)


def test_where_nobody_says_who_served_only_wrong_answers_show_anything() -> None:
    frame = users((102, 103, "ok", None), (104, 105, "wrong_answer", None))
    assert one([DAMAGE, HELD, BACK], [], frame).silent_s == Interval(25.0, 30.0)


@pytest.mark.parametrize(
    ("reason", "name"),
    [("wrong answer", "gateway_golden"), ("fingerprint", "gateway_fingerprint"), (None, "gateway_golden")],
)
def test_what_the_gateway_found_is_told_from_what_the_replica_did(reason: str | None, name: str) -> None:
    failed = Event(112.0, "target.golden_failed", {"replica": "primary", "reason": reason})
    assert one([DAMAGE, BACK], [failed], users()).detector == name


def test_a_fault_of_another_family_is_no_damage() -> None:
    killed = Event(BEGIN_S, "fault_begin", {**DAMAGE.fields, "fault_kind": "process.kill"})
    assert observed_corruptions([killed], [], users(), END_S) == ()


def test_two_damages_of_one_episode_are_told_apart() -> None:
    other: dict[str, Any] = {**DAMAGE.fields, "fault": 1, "on": "standby", "fault_kind": "weights.nan"}
    events = [DAMAGE, Event(105.0, "fault_begin", other), BACK]
    target = [detector(104.0, 104.0), detector(107.0, 106.0, "finite_check", "standby")]
    found = observed_corruptions(events, target, users(), END_S)
    assert [(c.fault, c.detector, c.detected_s) for c in found] == [
        ("weights.bit_flip on primary", "manifest", 4.0),
        ("weights.nan on standby", "finite_check", 1.0),
    ]


def known(silent: Interval | None, ended_by: str | None, detected_s: float | None = None) -> Corruption:
    return Corruption("weights.nan on primary", None, detected_s, "", silent, ended_by)


@pytest.mark.parametrize(
    ("corruptions", "unnoticed"),
    [
        ([], None),
        ([known(Interval(3.0, 6.0), "detector", 6.0)], Interval(3.0, 6.0)),
        ([known(Interval(3.0, 6.0), "isolation")], Interval(3.0, 6.0)),
        # Only the harness ended it: it would have gone on.
        ([known(Interval(3.0, 6.0), "inverse")], Interval(3.0, None)),
        ([known(Interval(3.0, None), None)], Interval(3.0, None)),
        ([known(None, None, 1.5)], Interval(0.0, 1.5)),
        ([known(None, None)], None),
        ([known(None, None, 1.5), known(Interval(3.0, 6.0), "detector", 6.0)], Interval(3.0, 6.0)),
        ([known(Interval(1.0, 2.0), "detector", 2.0), known(None, None)], None),
        ([known(Interval(1.0, 2.0), "detector", 2.0), known(Interval(0.5, 9.0), "inverse")], Interval(1.0, None)),
    ],
)
def test_what_an_objective_is_judged_on_never_claims_more_than_was_seen(
    corruptions: list[Corruption], unnoticed: Interval | None
) -> None:
    assert unnoticed_s(corruptions) == unnoticed


DAMAGED = "faults:\n  - {kind: weights.prune, restart_after_s: null, for_s: 6}\n"


@pytest.mark.parametrize(("max_s", "outcome"), [(4, "fail"), (20, "inconclusive")])
def test_a_whole_run_in_which_nothing_noticed_never_passes(tmp_path: Path, max_s: float, outcome: str) -> None:
    verdict = verdict_of(tmp_path, f"{DAMAGED}observe:\n  silent_s: {{max: {max_s}}}\n")
    (found,) = verdict.episodes[0].corruptions
    assert (found.fault, found.detector, found.ended_by) == ("weights.prune on primary", None, "inverse")
    assert found.silent_s is not None
    assert found.silent_s.high == pytest.approx(6.0, abs=0.1)
    assert verdict.outcome == outcome, verdict.reason


def test_a_whole_run_in_which_a_detector_fired_in_time_passes(tmp_path: Path) -> None:
    history = history_of(tmp_path, f"{DAMAGED}observe:\n  silent_s: {{max: 4}}\n")
    (begin,) = [event for event in history.events if event.kind == "fault_begin"]
    fired = detector(begin.at_s + 2.2, begin.at_s + 2.0)
    verdict = judge(dataclasses.replace(history, events=[*history.events, fired]))
    assert verdict.outcome == "pass", verdict.reason
    (found,) = verdict.episodes[0].corruptions
    assert (found.detector, found.detected_s) == ("manifest", pytest.approx(2.0))
    assert found.silent_s is not None
    assert found.silent_s.low < found.silent_s.high == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("how", "asked_for", "detector"),
    [
        ("exit status 78", False, "exit status 78"),
        ("exit status 78", True, None),
        ("exit status 0", False, None),
        ("terminated by SIGKILL", False, None),
        (None, False, None),
    ],
)
def test_a_replica_that_ends_itself_with_an_error_has_refused_without_saying_why(
    how: str | None, asked_for: bool, detector: str | None
) -> None:
    ended = Event(103.0, "target.exited", {"replica": "primary", "pid": 9, "how": how, "asked_for": asked_for})
    assert one([DAMAGE, BACK], [ended], users()).detector == detector
