"""Who is a replica of a gateway, for how long, and what becomes of its traffic."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from target_service.gateway import members
from target_service.gateway.admission import Admission
from target_service.gateway.breaker import Breaker, BreakerRules
from target_service.gateway.dispatch import Dispatcher
from target_service.gateway.events import EventLog
from target_service.gateway.evidence import Evidence
from target_service.gateway.members import Members
from target_service.gateway.routing import ActiveStandby
from target_service.gateway.settings import ReplicaAddress
from target_service.protocol.errors import RequestRejectedError

NEW = ReplicaAddress("new", "http://h:9")


class Made:
    """Members before a monitor that only notes whom it watches, and a clock."""

    def __init__(self, *fixed: ReplicaAddress) -> None:
        self.now_s = 100.0
        self.log = EventLog(lambda: self.now_s)
        self.admission = Admission([each.name for each in fixed], self.log, missed_max=3, failback=True)
        self.dispatcher = Dispatcher(fixed, self.admission, ActiveStandby(), breakers={}, outliers=None)
        self.watched: list[str] = []
        monitor: Any = SimpleNamespace(watch=lambda r: self.watched.append(r.name), unwatch=self.watched.remove)
        self.members = Members(self.admission, self.dispatcher, cast(Any, monitor), self.log, self.breaker)

    def breaker(self, name: str) -> Breaker:
        return Breaker(name, self.log, BreakerRules())

    def register(self, replica: ReplicaAddress = NEW, lease_s: float = 10.0) -> bool:
        return self.members.register(replica, lease_s, self.now_s)

    def admit(self, name: str) -> None:
        ticket = self.admission.beat_ok(name, self.now_s, "one")
        assert ticket is not None
        assert self.admission.verified(name, ticket)
        self.dispatcher.readmitted(name)

    def after(self, seconds: float) -> list[str]:
        self.now_s += seconds
        self.members.expire(self.now_s)
        return list(self.admission.standings)

    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.log.since(0) if event["replica"] == "new"]


def refused(made: Made, replica: ReplicaAddress) -> str | int | None:
    with pytest.raises(RequestRejectedError) as raised:
        made.register(replica)
    assert raised.value.status == 409
    return raised.value.code


def test_a_registered_replica_gets_no_traffic_before_it_is_verified() -> None:
    made = Made()
    assert made.register()
    assert made.watched == ["new"]
    assert made.dispatcher.begin(made.now_s) is None
    made.admit("new")
    slot = made.dispatcher.begin(made.now_s)
    assert slot is not None
    assert slot.address == NEW
    assert "new" in made.members.breakers


def test_a_renewal_changes_nothing_but_the_lease() -> None:
    made = Made()
    made.register()
    made.admit("new")
    made.now_s += 8
    assert not made.register()
    assert made.admission.admitted == ["new"]
    assert made.after(8) == ["new"]
    assert made.kinds() == ["registered", "ready_green", "readmitted", "active_changed"]


def test_a_replica_whose_lease_runs_out_is_removed() -> None:
    made = Made(ReplicaAddress("fixed", "http://h:1"))
    made.register()
    made.admit("fixed")
    made.admit("new")
    assert made.after(9.9) == ["fixed", "new"]
    assert made.after(0.2) == ["fixed"]
    assert made.kinds()[-2:] == ["isolated", "removed"]
    assert (made.watched, list(made.members.breakers)) == ([], [])


def test_the_last_admitted_replica_stays_until_another_is_admitted_or_it_misses_its_beats() -> None:
    made = Made()
    made.register()
    made.admit("new")
    assert made.after(11) == made.after(100) == ["new"]
    assert made.kinds().count("lease_kept") == 1
    made.register(ReplicaAddress("other", "http://h:8"))
    assert made.after(1) == ["new", "other"]
    made.admit("other")
    assert made.after(1) == ["other"]
    for _ in range(3):
        made.admission.beat_missed("other", made.now_s, "gone")
    assert made.after(20) == []


def test_a_replica_that_says_goodbye_is_removed_even_if_it_is_the_last() -> None:
    made = Made()
    made.register()
    made.admit("new")
    made.members.deregister("new")
    assert not made.admission.standings
    assert made.admission.active is None
    with pytest.raises(RequestRejectedError) as raised:
        made.members.deregister("new")
    assert raised.value.status == 404


def test_a_name_of_the_command_line_can_be_neither_taken_nor_removed() -> None:
    made = Made(NEW)
    assert refused(made, NEW) == refused(made, replace(NEW, url="http://evil:1")) == "name_taken"
    with pytest.raises(RequestRejectedError):
        made.members.deregister("new")


def test_a_name_with_a_lease_cannot_be_taken_and_afterwards_the_new_one_must_be_verified() -> None:
    made = Made()
    made.register()
    made.admit("new")
    moved = replace(NEW, url="http://h:10")
    assert refused(made, moved) == "name_taken"
    assert made.dispatcher.replicas["new"] is NEW
    made.now_s += 11
    assert made.register(moved)
    assert made.admission.admitted == []
    assert made.dispatcher.replicas["new"] == moved


def test_a_request_that_outlives_its_replica_counts_against_nobody() -> None:
    made = Made()
    made.register()
    made.admit("new")
    slot = made.dispatcher.begin(made.now_s)
    assert slot is not None
    made.members.deregister("new")
    made.dispatcher.end(slot, Evidence.FAILED, made.now_s)
    made.register(replace(NEW))
    made.dispatcher.end(slot, Evidence.FAILED, made.now_s)
    assert made.admission.standings["new"].open_requests == 0
    assert made.members.breakers["new"].body()["failures"] == 0


def test_a_registered_replica_is_preferred_to_a_backup_and_to_nobody_else() -> None:
    made = Made(ReplicaAddress("fixed", "http://h:1"))
    made.register(ReplicaAddress("spare", "http://h:2", backup=True))
    made.register()
    assert list(made.admission.standings) == ["fixed", "new", "spare"]


def test_the_number_of_registered_replicas_is_bounded() -> None:
    made = Made()
    for number in range(members.REGISTERED_MAX):
        made.register(ReplicaAddress(f"n{number}", "http://h:1"))
    assert refused(made, NEW) == "too_many"
    assert "new" not in made.admission.standings
