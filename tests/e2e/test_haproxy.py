"""A real HAProxy in front of the replicas instead of our gateway, and a real Prometheus beside them."""

from __future__ import annotations

import json

import pytest

from tests.container_kills import things_of
from tests.e2e.conftest import Start
from tests.e2e.test_compose import MISSING, events

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.model,
    pytest.mark.skipif(MISSING is not None, reason=str(MISSING)),
]
SCENARIO = """# If the primary dies behind HAProxy, users are served by the standby within 5 s.
name: haproxy-kill
target: {balancer: haproxy}
load: {rate_per_s: 10, mix: {sentiment: 1}}
phases: {baseline_s: 4, recovery_s: 12}
faults: [{kind: process.kill}]
observe: {recovery_s: {max: 60}}
"""


def test_a_run_behind_haproxy_is_judged_by_what_users_see_and_prometheus_scrapes_every_server(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_COMPOSE_PROMETHEUS", "1")
    one = start(SCENARIO, stack="compose")
    assert one.process.wait(timeout=200) in (0, 1, 3), one.said()  # how fast it recovers is the machine's affair
    verdict = json.loads((one.folder / "verdict.json").read_text())
    (episode,) = verdict["episodes"]
    assert episode["proven"] and "SIGKILL" in episode["proof"], (episode, one.said())
    assert episode["first_good_s"], (episode, one.said())
    assert set(episode["stages"].values()) == {None}, "HAProxy publishes none of them"
    states = [event for event in events(one) if event["kind"] == "target.balancer_state"]
    of_primary = [str(event["status"]) for event in states if event["replica"] == "primary"]
    assert any(status.startswith("UP") for status in of_primary) and "DOWN" in of_primary, states
    known = json.loads((one.folder / "stack" / "inspect.json").read_text())
    assert set(known) == {"primary", "standby", "haproxy", "toxiproxy", "prometheus"}
    assert known["haproxy"]["HostConfig"]["CapDrop"] == ["ALL"]
    scraped = json.loads((one.folder / "stack" / "prometheus-targets.json").read_text())["data"]["activeTargets"]
    health = {target["labels"]["instance"]: target["health"] for target in scraped}
    assert set(health) == {"primary:8000", "standby:8000", "gateway:8000", "toxiproxy:8474"}
    assert {name for name, state in health.items() if state != "up"} <= {"primary:8000"}, scraped  # it was killed
    assert things_of(one.folder.name) == []
