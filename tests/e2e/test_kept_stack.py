"""A stack that serves several runs: whenever the harness dies, nothing of the stack is left."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from harness.record.journal import pending
from tests.e2e.conftest import Start, Started, until

pytestmark = [pytest.mark.e2e, pytest.mark.model]

PAIR = """# If the link to the primary is cut, nobody notices.
name: {name}
load: {{rate_per_s: 10, mix: {{chat_stream: 1}}}}
phases: {{baseline_s: 3, recovery_s: 3}}
faults: [{{kind: network.down, on: primary, for_s: 4}}]
observe: {{lost_requests: {{max: 1}}}}
expect: {{fragile: {{outcome: fail, because: lost_requests}}, hardened: pass}}
"""
GONE_S = 10.0


def second_fault_is_in(one: Started) -> bool:
    """In a run on the stack that had served another one."""
    for path in one.out.glob("*/events.jsonl"):
        events = [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
        served = any(event["kind"] == "stack_up" and event.get("runs_before") == 1 for event in events)
        if served and any(event["kind"] == "fault_begin" for event in events):
            return True
    return False


def test_a_harness_that_is_killed_in_a_second_run_leaves_nothing(start: Start, tmp_path: Path) -> None:
    second = tmp_path / "second.yaml"
    second.write_text(PAIR.format(name="second"))
    one = start(PAIR.format(name="first"), "pairs", more=("--pairs", str(second)))
    until(lambda: second_fault_is_in(one), 180.0)
    assert len(one.owned()) >= 8, "the stack, the load and what guards them"
    os.kill(one.process.pid, signal.SIGKILL)
    one.process.wait()

    until(lambda: not one.owned(), GONE_S)
    until(lambda: not list((one.state / "reliability-harness" / "live").glob("*.json")), GONE_S)
    assert [entry for path in one.out.glob("*/undo.jsonl") for entry in pending(path)] == []
    assert not list((one.out / ".kept").glob("*/stack/model-*"))
    assert not list((one.out / ".kept").glob("*/stack/private*"))
