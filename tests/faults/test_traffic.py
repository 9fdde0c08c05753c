"""Traffic faults: what the gateway counts is the evidence, and without it there is no verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.model.errors import ScenarioError
from harness.model.traffic_faults import TRAFFIC_FAULTS, TrafficBurst
from harness.plan.parse import parse_scenario
from harness.stack.base import TargetProcess
from harness.stack.fake.links import FakeLinks, Over
from harness.stack.fake.stack import FakeStack
from harness.stack.fake.traffic import FakeTraffic
from harness.stack.links import Ask, Look, Seen
from tests.fake_run import verdict_of

HUNG_UP = Seen(connected=True, closed_s=0.01)
BURST = "faults: [{kind: traffic.burst, for_s: 4}]\nobserve: {recovery_s: {max: 6}}\n"


def test_strangers_that_never_came_make_the_verdict_inconclusive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeTraffic, "begin", lambda self, who: None)
    verdict = verdict_of(tmp_path, BURST)
    assert verdict.outcome == "inconclusive"
    assert not verdict.episodes[0].proven


def test_strangers_that_ended_by_themselves_were_not_the_fault_that_was_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeTraffic, "there", lambda self, who: False)
    verdict = verdict_of(tmp_path, BURST)
    assert verdict.outcome == "inconclusive"
    assert "the strangers ended before their time" in verdict.reason


def test_strangers_ask_for_another_length_only_if_they_are_told_to() -> None:
    assert TrafficBurst(rate_per_s=40).arguments == {"rate_per_s": 40}
    assert TrafficBurst(rate_per_s=40, output_tokens=1).arguments == {"rate_per_s": 40, "output_tokens": 1}


def test_a_target_without_limits_works_off_what_has_piled_up(tmp_path: Path) -> None:
    text = BURST + "target: {protection: fragile}\n"
    assert verdict_of(tmp_path / "fragile", text).outcome == "fail"
    assert verdict_of(tmp_path / "default", BURST).outcome == "pass"


def test_requests_of_strangers_are_not_taken_for_users(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, BURST)
    (accounting,) = [one for one in verdict.findings if one.check == "accounting"]
    assert accounting.outcome == "pass"
    assert accounting.evidence["ids_of_strangers"] == 1


@pytest.mark.parametrize(
    ("then", "proven"),
    [
        (Seen(connected=True), True),
        (Seen(connected=False, refused=True), False),
        (Seen(connected=True, closed_s=0.01), True),
        (Seen(connected=True, reset=True), True),
        (Seen(connected=True, answered=True, data=b"HTTP/1.1 500"), False),
    ],
)
def test_a_gateway_without_files_answers_nobody_which_is_told_from_one_that_has_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: Seen, *, proven: bool
) -> None:
    real = FakeLinks.look
    asked: list[Look] = []

    def look(self: FakeLinks, link: str, ask: Ask, *, past: bool) -> Look:
        asked.append(real(self, link, ask, past=past) if ask.page != "/metrics" or not asked else Over(then))
        return asked[-1]

    monkeypatch.setattr(FakeLinks, "look", look)
    text = "faults: [{kind: traffic.idle_connections, for_s: 4}]\nobserve: {lost_requests: {max: 5}}\n"
    assert verdict_of(tmp_path, text).episodes[0].proven is proven


@pytest.mark.parametrize("killed", [False, True])
def test_a_gateway_that_hangs_up_since_another_process_has_its_place_lacks_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, killed: bool
) -> None:
    real, asked = FakeLinks.look, []

    def look(self: FakeLinks, link: str, ask: Ask, *, past: bool) -> Look:
        asked.append(ask.page)
        first = asked.count("/metrics") == 1
        return real(self, link, ask, past=past) if ask.page != "/metrics" or first else Over(HUNG_UP)

    def process(self: FakeStack, replica: str) -> TargetProcess | None:
        return TargetProcess(replica, 1 + (killed and asked.count("/metrics") > 1), 1)

    monkeypatch.setattr(FakeLinks, "look", look)
    monkeypatch.setattr(FakeStack, "process", process)
    text = "faults: [{kind: traffic.idle_connections, for_s: 4}]\nobserve: {lost_requests: {max: 5}}\n"
    assert verdict_of(tmp_path, text).episodes[0].proven is not killed


def test_one_look_that_is_late_is_no_lack_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = FakeLinks.look, []

    def look(self: FakeLinks, link: str, ask: Ask, *, past: bool) -> Look:
        asked.append(ask.page)
        if ask.page == "/metrics" and asked.count("/metrics") == 2:
            return Over(Seen(connected=True))
        return real(self, link, ask, past=past)

    monkeypatch.setattr(FakeLinks, "look", look)
    monkeypatch.setattr(FakeTraffic, "begin", lambda self, who: None)
    text = "faults: [{kind: traffic.idle_connections, for_s: 4}]\nobserve: {lost_requests: {max: 5}}\n"
    assert not verdict_of(tmp_path, text).episodes[0].proven


def test_they_go_where_users_go() -> None:
    with pytest.raises(ScenarioError, match=r"faults\.0\.on: input should be 'gateway'"):
        parse_scenario("name: x\nfaults: [{kind: traffic.burst, on: primary}]\n", "x.yaml")


def test_every_stack_that_has_the_capability_has_the_strangers() -> None:
    assert all(cls(kind=kind).capabilities <= FakeStack.capabilities for kind, cls in TRAFFIC_FAULTS.items())  # type: ignore[arg-type]
