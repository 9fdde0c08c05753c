"""What the target counted itself, incarnation by incarnation."""

from __future__ import annotations

from harness.analysis.sli import probe_share, target_count
from harness.model.event import Event


def counted(at_s: float, source: str, incarnation: str, received: int, **more: int) -> Event:
    return Event(at_s, "counters", {"source": source, "incarnation": incarnation, "received": received, **more})


def test_the_latest_reading_counts_wherever_it_stands_in_the_log() -> None:
    late_first = [counted(9.0, "gateway", "a", 246), counted(8.5, "gateway", "a", 245)]
    assert target_count(late_first, "gateway") == {"incarnations": 1, "received": 246}


def test_incarnations_are_added_up() -> None:
    events = [counted(1.0, "primary", "a", 10), counted(2.0, "primary", "a", 20), counted(5.0, "primary", "b", 3)]
    assert target_count(events, "primary") == {"incarnations": 2, "received": 23}


def test_a_target_that_publishes_nothing_has_no_count() -> None:
    assert target_count([counted(1.0, "primary", "a", 10)], "gateway") is None
    assert probe_share([], ["primary"]) is None


def test_the_share_of_probes_is_taken_over_all_replicas() -> None:
    events = [
        counted(1.0, "primary", "a", 90, probe_received=5),
        counted(1.0, "standby", "b", 0, probe_received=5),
    ]
    assert probe_share(events, ["primary", "standby"]) == 0.1
