"""Admission, breakers, ejection and strategy together, without a socket."""

from __future__ import annotations

from target_service.gateway.admission import Admission
from target_service.gateway.breaker import Breaker, BreakerRules
from target_service.gateway.dispatch import Dispatcher, Slot
from target_service.gateway.events import EventLog
from target_service.gateway.evidence import Evidence
from target_service.gateway.outlier import OutlierDetector
from target_service.gateway.routing import STRATEGIES
from target_service.gateway.settings import ReplicaAddress


class Dispatched:
    """Two admitted replicas, `primary` and `standby`; a number of 0 is off."""

    def __init__(self, strategy: str = "active-standby", *, breaker: int = 0, eject: int = 0) -> None:
        self.now_s = 0.0
        self.events = EventLog(lambda: self.now_s)
        replicas = [ReplicaAddress(name, f"http://{name}") for name in ("primary", "standby")]
        self.admission = Admission(
            ["primary", "standby"],
            self.events,
            missed_max=3,
            failback=True,
            active_standby=strategy == "active-standby",
        )
        rules = BreakerRules(breaker, open_s=10.0)
        self.dispatcher = Dispatcher(
            replicas,
            self.admission,
            STRATEGIES[strategy](),
            breakers={each.name: Breaker(each.name, self.events, rules) for each in replicas if breaker},
            outliers=OutlierDetector(eject) if eject else None,
        )
        for each in replicas:
            self.readmit(each.name)

    def readmit(self, name: str) -> None:
        self.now_s += 0.25
        ticket = self.admission.beat_ok(name, self.now_s, "one")
        assert ticket is not None
        assert self.admission.verified(name, ticket)
        self.dispatcher.readmitted(name)

    def begin(self) -> Slot:
        slot = self.dispatcher.begin(self.now_s)
        assert slot is not None
        return slot

    def serve(self, evidence: Evidence, times: int = 1) -> list[str]:
        slots = []
        for _ in range(times):
            slots.append(self.begin())
            self.dispatcher.end(slots[-1], evidence, self.now_s)
        return [slot.replica for slot in slots]

    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.events.since(0)]


def test_without_a_breaker_a_failing_replica_keeps_its_traffic() -> None:
    assert Dispatched().serve(Evidence.FAILED, 50) == ["primary"] * 50


def test_a_breaker_that_opens_sends_users_to_the_standby_until_a_probe_succeeds() -> None:
    made = Dispatched(breaker=5)
    assert made.serve(Evidence.FAILED, 5) == ["primary"] * 5
    assert made.serve(Evidence.GOOD, 3) == ["standby"] * 3
    made.now_s += 10.0
    probe = made.begin()
    assert (probe.replica, made.begin().replica) == ("primary", "standby")
    made.dispatcher.end(probe, Evidence.GOOD, made.now_s)
    assert made.begin().replica == "primary"


def test_when_all_breakers_are_open_nobody_serves_and_the_wait_is_known() -> None:
    made = Dispatched(breaker=1)
    assert made.serve(Evidence.FAILED, 2) == ["primary", "standby"]
    assert made.dispatcher.begin(made.now_s) is None
    assert made.dispatcher.retry_after_s(made.now_s + 2.5) == 8


def test_without_an_admitted_replica_there_is_no_wait_to_tell() -> None:
    made = Dispatched(breaker=1)
    for name in ("primary", "standby"):
        for beat in range(3):
            made.admission.beat_missed(name, made.now_s + beat, "refused")
    assert made.dispatcher.begin(made.now_s) is None
    assert made.dispatcher.retry_after_s(made.now_s) is None


def test_failures_in_a_row_eject_a_replica_whose_beats_are_green() -> None:
    made = Dispatched(eject=3)
    assert made.serve(Evidence.FAILED, 3) == ["primary"] * 3
    assert made.serve(Evidence.GOOD) == ["standby"]
    assert "ejected" in made.kinds()
    made.readmit("primary")
    assert made.serve(Evidence.FAILED, 2) == ["primary"] * 2
    assert made.admission.admitted == ["primary", "standby"]


def test_a_success_between_failures_saves_a_replica_from_ejection() -> None:
    made = Dispatched(eject=3)
    for _ in range(5):
        made.serve(Evidence.FAILED, 2)
        made.serve(Evidence.GOOD)
    assert "ejected" not in made.kinds()
    made.serve(Evidence.FAILED, 3)
    assert "ejected" in made.kinds()


def test_late_failures_from_before_the_isolation_do_not_eject_again() -> None:
    made = Dispatched(eject=3)
    slow = [made.begin() for _ in range(3)]
    made.serve(Evidence.FAILED, 3)
    made.readmit("primary")
    for slot in slow:
        made.dispatcher.end(slot, Evidence.FAILED, made.now_s)
    assert made.admission.admitted == ["primary", "standby"]


def test_golden_answers_close_the_breaker() -> None:
    made = Dispatched(breaker=3, eject=3)
    made.serve(Evidence.FAILED, 3)
    assert made.dispatcher.breakers["primary"].body()["state"] == "open"
    made.readmit("primary")
    assert made.begin().replica == "primary"
    assert made.kinds()[-1] == "breaker_closed"


def test_a_second_try_goes_to_another_replica_if_there_is_one() -> None:
    made = Dispatched()
    second = made.dispatcher.begin(0.0, {"primary"})
    assert second is not None
    assert second.replica == "standby"
    third = made.dispatcher.begin(0.0, {"primary", "standby"})
    assert third is not None
    assert third.replica == "primary"
    assert made.dispatcher.begin(0.0, {"primary", "standby"}, again=False) is None


def test_least_connections_sees_what_is_open_now() -> None:
    made = Dispatched("least-connections")
    first, second = made.begin(), made.begin()
    assert {first.replica, second.replica} == {"primary", "standby"}
    made.dispatcher.end(second, Evidence.GOOD, 0.0)
    assert [made.begin().replica for _ in range(1)] == [second.replica]
