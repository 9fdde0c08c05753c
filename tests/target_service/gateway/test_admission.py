"""The admission state machine, fed by hand."""

from __future__ import annotations

import pytest

from target_service.gateway.admission import Admission
from target_service.gateway.events import EventLog


class Fed:
    """Two replicas and a clock that stands still until it is moved."""

    def __init__(self, *, failback: bool = True, active_standby: bool = True) -> None:
        self.now_s = 0.0
        self.events = EventLog(lambda: self.now_s)
        self.admission = Admission(
            ["primary", "standby"], self.events, missed_max=3, failback=failback, active_standby=active_standby
        )

    def green(self, name: str, incarnation: str = "one") -> int | None:
        self.now_s += 0.25
        return self.admission.beat_ok(name, self.now_s, incarnation)

    def miss(self, name: str) -> None:
        self.now_s += 0.25
        self.admission.beat_missed(name, self.now_s, "refused")

    def admit(self, name: str, incarnation: str = "one") -> None:
        ticket = self.green(name, incarnation)
        assert ticket is not None
        assert self.admission.verified(name, ticket)

    def kinds(self, name: str) -> list[str]:
        return [e["kind"] for e in self.events.since(0) if e["replica"] == name]


def test_a_green_replica_gets_no_traffic_before_its_golden_answers_are_right() -> None:
    fed = Fed()
    ticket = fed.green("primary")
    assert fed.admission.active is None
    assert ticket is not None
    fed.admission.verified("primary", ticket)
    assert fed.admission.active == "primary"


def test_the_third_missed_beat_isolates_and_names_the_last_routed_time() -> None:
    fed = Fed()
    fed.admit("primary")
    fed.admit("standby")
    fed.admission.routed("primary", 7.5)
    fed.miss("primary")
    fed.miss("primary")
    assert fed.admission.active == "primary"
    fed.miss("primary")
    assert fed.admission.active == "standby"
    isolated = next(e for e in fed.events.since(0) if e["kind"] == "isolated")
    assert (isolated["last_routed_s"], isolated["missed"]) == (7.5, 3)


def test_a_green_beat_between_misses_starts_the_count_again() -> None:
    fed = Fed()
    fed.admit("primary")
    for _ in range(4):
        fed.miss("primary")
        fed.miss("primary")
        assert fed.green("primary") is None
    assert fed.admission.active == "primary"
    assert fed.kinds("primary").count("beat_ok_again") == 4


def test_a_replica_that_restarted_between_two_beats_is_isolated_and_verified_again() -> None:
    fed = Fed()
    fed.admit("primary", "one")
    ticket = fed.green("primary", "two")
    assert fed.admission.active is None
    assert ticket is not None
    assert fed.admission.verified("primary", ticket)
    assert fed.kinds("primary")[-3:] == ["ready_green", "readmitted", "active_changed"]


def test_a_missed_beat_voids_the_verification_under_way() -> None:
    fed = Fed()
    ticket = fed.green("primary")
    assert ticket is not None
    fed.miss("primary")
    assert fed.green("primary") != ticket
    assert not fed.admission.verified("primary", ticket)
    assert fed.admission.active is None


def test_the_late_failure_of_an_older_beat_is_no_news() -> None:
    fed = Fed()
    fed.admit("primary")
    for _ in range(3):
        fed.admission.beat_missed("primary", 0.1, "no answer in 0.5 s")
    assert fed.admission.standings["primary"].missed == 0


def test_traffic_goes_back_to_the_preferred_replica_unless_failback_is_off() -> None:
    for failback, expected in ((True, "primary"), (False, "standby")):
        fed = Fed(failback=failback)
        fed.admit("standby")
        fed.admit("primary")
        assert fed.admission.active == expected


def test_an_ejected_replica_comes_back_only_after_golden_answers() -> None:
    fed = Fed()
    fed.admit("primary")
    fed.admit("standby")
    assert fed.admission.eject("primary", 5)
    assert (fed.admission.active, fed.admission.admitted) == ("standby", ["standby"])
    assert fed.kinds("primary")[-2:] == ["ejected", "isolated"]
    ticket = fed.green("primary")
    assert fed.admission.active == "standby"
    assert ticket is not None
    assert fed.admission.verified("primary", ticket)
    assert fed.admission.active == "primary"


def test_the_last_admitted_replica_is_never_ejected() -> None:
    fed = Fed()
    fed.admit("primary")
    assert not fed.admission.eject("primary", 5)
    assert fed.admission.admitted == ["primary"]
    assert "ejected" not in fed.kinds("primary")


def test_without_active_standby_no_replica_is_active_and_all_are_admitted() -> None:
    fed = Fed(active_standby=False)
    fed.admit("standby")
    fed.admit("primary")
    assert (fed.admission.active, fed.admission.admitted) == (None, ["primary", "standby"])
    assert "active_changed" not in fed.kinds("primary") + fed.kinds("standby")


def test_open_requests_are_those_that_were_routed_and_have_not_left() -> None:
    fed = Fed()
    fed.admission.routed("primary", 1.0)
    fed.admission.routed("primary", 2.0)
    fed.admission.left("primary")
    standing = fed.admission.standings["primary"]
    assert (standing.open_requests, standing.routed_total, standing.last_routed_s) == (1, 2, 2.0)


def test_an_absent_replica_does_not_fill_the_log() -> None:
    fed = Fed()
    for _ in range(100):
        fed.miss("standby")
    assert fed.kinds("standby") == ["beat_missed"] * 3


def test_the_event_log_forgets_the_oldest_and_keeps_its_numbers() -> None:
    events = EventLog(lambda: 1.0, kept=2)
    for _ in range(5):
        events.add("x", None)
    assert [e["seq"] for e in events.since(0)] == [4, 5]
    assert events.since(5) == []


def test_a_replica_that_is_held_gets_no_traffic_and_is_not_verified() -> None:
    fed = Fed()
    fed.admit("primary")
    assert fed.admission.hold("primary", "restart", 100.0, 100.0)
    assert fed.admission.admitted == []
    assert fed.admission.beat_ok("primary", 101.0, "one") is None
    assert not fed.admission.hold("primary", "restart", 100.0, 100.0)


@pytest.mark.parametrize(("begin_s", "incarnation"), [(101.0, "two"), (200.0, "one")], ids=["restarted", "too long"])
def test_a_hold_ends_with_a_restart_or_its_time_and_golden_answers_come_first(begin_s: float, incarnation: str) -> None:
    fed = Fed()
    fed.admit("primary")
    fed.admission.hold("primary", "restart", 100.0, 100.0)
    ticket = fed.admission.beat_ok("primary", begin_s, incarnation)
    assert ticket is not None
    assert fed.admission.admitted == []
    assert fed.admission.verified("primary", ticket)


def test_a_hold_voids_a_verification_under_way_and_a_release_asks_for_a_new_one() -> None:
    fed = Fed()
    ticket = fed.admission.beat_ok("primary", 1.0, "one")
    assert ticket is not None
    fed.admission.hold("primary", "restart", 100.0, 100.0)
    assert fed.admission.release("primary", "asked for")
    assert not fed.admission.verified("primary", ticket)
    assert not fed.admission.release("primary", "asked for")
    again = fed.admission.beat_ok("primary", 2.0, "one")
    assert again is not None
    assert fed.admission.verified("primary", again)


def test_a_held_replica_that_was_never_seen_is_not_taken_for_a_restarted_one() -> None:
    fed = Fed()
    fed.admission.hold("primary", "restart", 100.0, 100.0)
    assert fed.admission.beat_ok("primary", 1.0, "one") is None


def test_what_a_replica_says_of_its_detectors_is_told_once_and_again_after_it_was_green() -> None:
    fed = Fed()
    for _ in range(3):
        fed.admission.integrity_failed("primary", "manifest", "manifest: config.json sha256 differs", 4.0)
    fed.admission.integrity_failed("primary", "fingerprint", "fingerprint: off by 1", 4.0)
    assert fed.kinds("primary") == ["integrity_failed", "integrity_failed"]
    fed.green("primary")
    fed.admission.integrity_failed("primary", "fingerprint", "fingerprint: off by 1", 9.0)
    assert fed.kinds("primary").count("integrity_failed") == 3
