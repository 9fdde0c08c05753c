"""A server that hangs is repaired by a supervisor that asks with a time limit, and by nobody else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.conftest import Start

pytestmark = [pytest.mark.e2e, pytest.mark.model]

CRON = "{gateway: {strategy: round-robin}, supervisor: cron-script, supervision: {period_s: 12}}"
LIVENESS = "{gateway: {strategy: round-robin}, supervisor: budget, supervision: {liveness_period_s: 1}}"


def hang_both(start: Start, target: str) -> dict[str, Any]:
    """Hang both replicas under load; what the verdict says of it."""
    one = start(f"""
name: hang
target: {target}
load: {{rate_per_s: 10, mix: {{chat_stream: 1, sentiment: 1}}}}
phases: {{baseline_s: 4, recovery_s: 4}}
warmup_max_s: 3
faults:
  - {{kind: process.pause, on: primary, for_s: 14}}
  - {{kind: process.pause, on: standby, for_s: 14}}
observe: {{lost_requests: {{max: 100000}}}}
""")
    assert one.process.wait(timeout=150) in (0, 3), one.said()
    verdict: dict[str, Any] = json.loads((one.folder / "verdict.json").read_text())
    (episode,) = verdict["episodes"]
    assert episode["proven"], episode
    assert not one.owned()
    return dict(episode)


def test_the_cron_script_does_not_repair_a_server_that_hangs(start: Start) -> None:
    episode = hang_both(start, CRON)
    assert episode["restarts"] == 0
    assert "killed" not in episode["supervision"]


def test_a_supervisor_that_asks_with_a_time_limit_does(start: Start) -> None:
    episode = hang_both(start, LIVENESS)
    assert episode["restarts"] == 2
    assert episode["supervision"].count("killed since it did not answer, restarted once") == 2
