"""A real HAProxy in front of the replicas instead of our gateway, and a real Prometheus beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.monitor.kept import METRICS, read_metrics
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
    start: Start,
) -> None:
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
    assert set(health) == {"primary", "standby", "gateway", "toxiproxy"}
    assert {name for name, state in health.items() if state != "up"} <= {"primary"}, scraped  # it was killed
    _prometheus_is_kept(one.folder, verdict)
    assert things_of(one.folder.name) == []


def _prometheus_is_kept(folder: Path, verdict: dict[str, Any]) -> None:
    """As on the local stack: the same file, the same names of servers, gaps as gaps, and what became of the alerts."""
    kept = read_metrics(folder / "stack" / METRICS)
    assert kept is not None
    up = {one.labels["instance"]: one for one in kept.series if one.name == "up"}
    assert set(up) == {"primary", "standby", "gateway", "toxiproxy"}
    assert up["standby"].value[-1] == 1.0, kept.missing
    used = {one["source"]: one for one in verdict["resources"]}
    assert set(used) == set(up)
    assert used["standby"]["unseen_s"] < 5 and used["standby"]["cpu_cores_mean"] > 0
    assert used["standby"]["resident_mb_max"] > 10
    (episode,) = verdict["alerts"]["episodes"]
    fates = {fate["alert"]: fate for fate in episode["fates"]}
    assert fates["HighErrorRate"]["state"] == "blind", "HAProxy has none of our gateway's metrics"
    assert "gateway_requests_total" in fates["HighErrorRate"]["words"]
    assert fates["LowSuccessRate"]["state"] in ("too_short", "fired")
