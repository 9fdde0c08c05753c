from __future__ import annotations

from harness.stack.supervision.liveness import Heartbeats


def seen(beats: Heartbeats, pid: int, answers: str) -> list[bool]:
    """Once a second, from 0 s on."""
    return [beats.saw(pid, answer == "+", float(at_s)) for at_s, answer in enumerate(answers)]


def test_so_many_missed_answers_in_a_row_are_too_many() -> None:
    assert seen(Heartbeats(3), 7, "+---") == [False, False, False, True]


def test_one_answer_begins_the_count_again() -> None:
    assert seen(Heartbeats(3), 7, "+--+--") == [False] * 6


def test_a_replica_that_never_was_ready_is_left_to_load() -> None:
    assert seen(Heartbeats(2), 7, "-----") == [False] * 5


def test_with_a_limit_a_replica_that_loads_for_longer_is_killed_again_and_again() -> None:
    beats = Heartbeats(2, loading_s=3)
    assert seen(beats, 7, "-----") == [False, False, False, False, True]
    assert seen(beats, 8, "-----") == [False, False, False, False, True]


def test_one_that_is_ready_within_the_limit_is_left_alone() -> None:
    assert seen(Heartbeats(2, loading_s=3), 7, "---++++") == [False] * 7


def test_a_new_process_begins_a_new_count() -> None:
    beats = Heartbeats(2)
    seen(beats, 7, "+-")
    assert seen(beats, 8, "--") == [False, False]


def test_a_process_that_survived_its_kill_is_killed_again_after_as_many() -> None:
    assert seen(Heartbeats(2), 7, "+----") == [False, False, True, False, True]


def test_a_process_is_asked_whether_it_is_ready_until_it_was_and_then_whether_it_lives() -> None:
    beats = Heartbeats(3)
    assert beats.page(7) == "ready"
    beats.saw(7, False, 0)
    assert beats.page(7) == "ready"
    beats.saw(7, True, 1)
    assert (beats.page(7), beats.page(8)) == ("health", "ready")
