from __future__ import annotations

from harness.analysis.supervision import restarts_of, supervision_words
from harness.model.event import Event


def event(at_s: float, kind: str, replica: str = "primary", **fields: object) -> Event:
    return Event(at_s, f"target.{kind}", {"replica": replica, **fields})


LOOP = [
    event(1, "exited"),
    event(1, "restarting"),
    event(2, "started"),
    event(3, "exited"),
    event(3, "backing_off", delay_s=0.4),
    event(4, "cleaned_up", what="orphan process 7"),
    event(4, "started"),
    event(5, "exited"),
    event(5, "given_up", restarts=2),
    event(9, "started"),
]


def test_each_start_after_a_crash_is_a_restart_until_it_is_given_up() -> None:
    assert restarts_of(LOOP, 0, 100) == 2


def test_only_those_of_the_episode_count_though_the_crash_may_lie_before() -> None:
    assert restarts_of(LOOP, 1.5, 3) == 1


def test_a_restart_that_was_asked_for_is_none() -> None:
    assert restarts_of([event(1, "exited", asked_for=True), event(2, "started")], 0, 100) == 0


def test_a_sentence_says_what_was_done_for_each_replica() -> None:
    other = [event(1, "exited", "standby"), event(2, "started", "standby")]
    assert supervision_words(sorted(LOOP + other, key=lambda e: e.at_s), 0, 100) == (
        "primary: restarted 2 times, backed off 0.4 to 0.4 s, cleaned up orphan process 7, then given up; "
        "standby: restarted once"
    )


def test_a_script_that_hangs_and_one_that_is_wrong_are_said() -> None:
    events = [
        event(1, "check_hangs", checks=1),
        event(2, "check_hangs", checks=2),
        event(3, "recovery_failed", attempts=3, but_running=True),
        event(4, "not_restarted", why="nobody restarts it"),
    ]
    assert supervision_words(events, 0, 100) == (
        "primary: up to 2 health checks hung, its recovery was called failed after 3 attempts although it runs, "
        "not restarted: nobody restarts it"
    )


def test_nothing_done_is_nothing_said() -> None:
    assert supervision_words([event(1, "beat_missed")], 0, 100) == ""
