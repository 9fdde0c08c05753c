from __future__ import annotations

from harness.model.event import Event
from harness.stack.reference.gateway_events import counters, gateway_events, since, supervision_event


def test_events_of_the_gateway_are_moved_to_the_clock_of_the_run() -> None:
    rows = [{"seq": 3, "at_s": 105.0, "kind": "isolated", "replica": "primary", "last_routed_s": 104.5}]
    fields = {"replica": "primary", "last_routed_s": 4.5, "gateway_incarnation": "i"}
    assert gateway_events(rows, 100.0, "i") == [Event(5.0, "target.isolated", fields)]


def test_a_replica_that_was_never_routed_to_has_no_last_time() -> None:
    rows = [{"seq": 1, "at_s": 101.0, "kind": "isolated", "replica": "primary", "last_routed_s": None}]
    assert gateway_events(rows, 100.0, "i")[0].fields["last_routed_s"] is None


def test_when_a_detector_fired_is_moved_to_the_clock_of_the_run_too() -> None:
    said = {"replica": "primary", "detector": "manifest", "reason": "manifest: x", "detected_s": 104.0}
    rows = [{"seq": 1, "at_s": 104.2, "kind": "integrity_failed", **said}]
    (event,) = gateway_events(rows, 100.0, "i")
    assert (event.kind, round(event.at_s, 6), event.fields["detected_s"]) == ("target.integrity_failed", 4.2, 4.0)


def test_counters_keep_their_source_and_incarnation() -> None:
    body = {"incarnation": "i", "received_distinct": 7, "replicas": {"primary": {"last_routed_s": 104.5}}}
    event = counters("gateway", body, 6.0, 100.0)
    assert (event.at_s, event.kind) == (6.0, "counters")
    assert event.fields == {
        "source": "gateway",
        "incarnation": "i",
        "received_distinct": 7,
        "replicas": {"primary": {"last_routed_s": 4.5}},
    }


def test_an_exit_says_how_it_came_about() -> None:
    row = {"at_monotonic_s": 105.0, "program": "primary", "state": "EXITED", "came_from": "RUNNING", "pid": 9}
    fields = {"replica": "primary", "pid": 9, "how": "terminated by SIGKILL", "asked_for": False}
    assert supervision_event(row, 100.0, "terminated by SIGKILL") == Event(5.0, "target.exited", fields)


def test_a_stop_between_two_tries_ends_no_process() -> None:
    row = {"at_monotonic_s": 105.0, "program": "primary", "state": "STOPPED", "came_from": "BACKOFF", "pid": None}
    assert supervision_event(row, 100.0, None) is None


def test_a_program_that_was_given_up_is_reported() -> None:
    row = {"at_monotonic_s": 105.0, "program": "primary", "state": "GIVEN_UP"}
    assert supervision_event(row, 100.0, None) == Event(5.0, "target.given_up", {"replica": "primary"})


def test_what_a_server_had_counted_before_is_taken_off_as_long_as_it_is_the_same_one() -> None:
    before = {"incarnation": "a", "received": 5, "open": 1}
    assert since({"incarnation": "a", "received": 7, "open": 2, "new": 1}, before) == {
        "incarnation": "a",
        "received": 2,
        "open": 2,  # no sum
        "new": 1,
    }
    assert since({"incarnation": "b", "received": 7}, before) == {"incarnation": "b", "received": 7}
    assert since({"received": 7}, {}) == {"received": 7}
