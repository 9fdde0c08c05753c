"""A roll-out: one replica after the other, observed, and back if anything fails. On a scripted fleet and clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from target_service.releases.rollout import Pace, Sighting, link_of, roll_out
from target_service.releases.store import CURRENT, ReleaseError, Store
from tests.target_service.releases.test_store import model

NAMES = ("standby", "primary")


@dataclass
class Clock:
    now_s: float = 0.0

    def now(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> None:
        self.now_s += seconds


@dataclass
class Scripted:
    """Replicas that serve what their link leads to, and `bad` versions badly."""

    store: Store
    clock: Clock
    bad: dict[str, str] = field(default_factory=dict)  # replica -> what is wrong with v2 there
    bad_from_s: float = 0.0
    restarts: list[tuple[str, str | None]] = field(default_factory=list)
    isolated: list[tuple[str, int]] = field(default_factory=list)  # with the life that it was in
    serves: dict[str, str | None] = field(default_factory=lambda: dict.fromkeys(NAMES, "v1"))
    lives: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))

    def isolate(self, name: str) -> None:
        self.isolated.append((name, self.lives[name]))
        if self._wrong(name) == "last":
            raise ReleaseError("the gateway refused with 409: it is the last admitted replica")

    def restart(self, name: str) -> None:
        if self._wrong(name) == "no restart":
            raise ReleaseError("the restart command ended with 1: no such process")
        self.serves[name] = self.store.linked(link_of(name))
        self.lives[name] += 1
        self.restarts.append((name, self.serves[name]))

    def look(self, name: str) -> Sighting:
        wrong = self._wrong(name) if self.serves[name] == "v2" else None
        if wrong == "not ready":
            return Sighting(False, "fingerprint: off by 0.3", "v2", str(self.lives[name]))
        life = self.lives[name] + (1 if wrong == "crash" else 0)
        version = "v1" if wrong == "stale" else self.serves[name]
        return Sighting(True, None, version, str(life))

    def wrong_answer(self, name: str) -> str | None:
        bad = self.serves[name] == "v2" and self._wrong(name) == "answers"
        return "'Is it good?' is answered 'no', not 'yes'" if bad else None

    def _wrong(self, name: str) -> str | None:
        return self.bad.get(name) if self.clock.now_s >= self.bad_from_s else None


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    for tag in ("v1", "v2"):
        store.publish(model(tmp_path / tag, tag), tag)
    store.switch("v1")
    return store


def run(store: Store, fleet: Scripted) -> str | None:
    pace = Pace(60.0, 30.0, 1.0, fleet.clock.now, fleet.clock.wait, lambda _: None)
    return roll_out(store, "v2", NAMES, fleet, pace)


def links(store: Store) -> list[str | None]:
    return [store.linked(link) for link in (CURRENT, *map(link_of, NAMES))]


def test_the_standby_is_observed_for_the_whole_time_before_the_primary_is_touched(store: Store) -> None:
    fleet = Scripted(store, Clock())
    assert run(store, fleet) is None
    assert fleet.restarts == [("standby", "v2"), ("primary", "v2")]
    assert links(store) == ["v2", "v2", "v2"]
    assert fleet.clock.now_s == 120.0
    assert store.rollback() == "v1"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("not ready", "standby: not ready within 30 s (fingerprint: off by 0.3)"),
        ("answers", "is answered 'no', not 'yes'"),
        ("stale", "serves version v1, not v2; is it pointed at its link?"),
    ],
)
def test_a_version_that_fails_on_the_standby_never_reaches_the_primary(store: Store, wrong: str, said: str) -> None:
    fleet = Scripted(store, Clock(), {"standby": wrong})
    problem = run(store, fleet)
    assert problem is not None
    assert said in problem
    assert problem.endswith("; rolled back")
    assert fleet.restarts == [("standby", "v2"), ("standby", "v1")]
    assert links(store) == ["v1", "v1", "v1"]


@pytest.mark.parametrize("wrong", ["answers", "crash", "not ready"])
def test_a_failure_late_in_the_observation_of_the_primary_takes_both_back(store: Store, wrong: str) -> None:
    fleet = Scripted(store, Clock(), {"primary": wrong}, bad_from_s=110.0)
    problem = run(store, fleet)
    assert problem is not None
    assert problem.startswith("primary: ")
    assert fleet.serves == {"standby": "v1", "primary": "v1"}
    assert fleet.restarts[2:] == [("primary", "v1"), ("standby", "v1")]
    assert links(store) == ["v1", "v1", "v1"]


def test_users_are_taken_away_from_each_replica_before_its_restart(store: Store) -> None:
    fleet = Scripted(store, Clock())
    assert run(store, fleet) is None
    assert fleet.isolated == [("standby", 0), ("primary", 0)]


@pytest.mark.parametrize(
    ("refused", "restarts"), [("standby", []), ("primary", [("standby", "v2"), ("standby", "v1")])]
)
def test_a_replica_that_is_not_let_go_is_not_touched_and_those_before_it_go_back(
    store: Store, refused: str, restarts: list[tuple[str, str]]
) -> None:
    fleet = Scripted(store, Clock(), {refused: "last"})
    problem = run(store, fleet)
    assert problem is not None
    assert problem.startswith(f"{refused}: the gateway refused with 409")
    assert fleet.restarts == restarts
    assert links(store) == ["v1", "v1", "v1"]


def test_a_replica_with_a_bad_version_goes_back_though_nobody_can_take_its_place(store: Store) -> None:
    fleet = Scripted(store, Clock(), {"standby": "last"}, bad_from_s=50.0)
    fleet.bad |= {"primary": "answers"}
    problem = run(store, fleet)
    assert problem is not None
    assert problem.endswith("; rolled back")
    assert fleet.serves == {"standby": "v1", "primary": "v1"}


def test_a_replica_that_cannot_be_restarted_is_named_and_its_link_is_back(store: Store) -> None:
    problem = run(store, Scripted(store, Clock(), {"standby": "no restart"}))
    assert problem is not None
    assert problem.count("the restart command ended with 1: no such process") == 2
    assert links(store) == ["v1", "v1", "v1"]


def test_an_interrupted_roll_out_is_taken_back(store: Store) -> None:
    fleet = Scripted(store, Clock())

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    pace = Pace(60.0, 30.0, 1.0, fleet.clock.now, interrupt, lambda _: None)
    problem = roll_out(store, "v2", NAMES, fleet, pace)
    assert problem == "standby: interrupted; rolled back"
    assert links(store) == ["v1", "v1", "v1"]


def test_a_roll_out_after_one_that_was_killed_still_knows_what_to_go_back_to(store: Store) -> None:
    store.point(link_of("standby"), "v2")
    assert run(store, Scripted(store, Clock(), {"standby": "answers"})) is not None
    assert links(store) == ["v1", "v1", "v1"]
