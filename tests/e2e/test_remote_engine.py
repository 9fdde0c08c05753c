"""An engine of another host: the harness shares no process, no port and no folder with its containers.

This machine's engine is made to be one: the harness runs in namespaces of its own, where there are no processes but its
own, no network but a loopback address with one port that leads to the engine's API, and a run folder in memory that the
engine cannot see.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT
from tests.e2e.test_compose import MISSING, things_of

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.model,
    pytest.mark.skipif(MISSING is not None, reason=str(MISSING)),
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="namespaces need root and unshare"),
]
FAULTS = (  # its keys, its evidence
    ("process.pause, on: primary, for_s: 3", "is in state T (stopped)"),
    ("network.latency, on: gateway, at_s: 4, for_s: 5, latency_ms: 700", "later than past the proxy"),
    ("network.partition, on: standby, at_s: 9.5, for_s: 7", "packets that met it, both ways"),
    ("network.down, on: primary, at_s: 17, for_s: 4.5", "a connection was refused"),
    ("node.down, on: standby, at_s: 22, for_s: 3", "exited with code 137"),
    ("process.kill, on: primary, at_s: 32", "its supervisor says: terminated by SIGKILL"),
)
SCENARIO = """
name: far-away
load: {rate_per_s: 8, mix: {chat_stream: 1, sentiment: 1}}
warmup_max_s: 0
phases: {baseline_s: 4, recovery_s: 9}
observe: {lost_requests: {max: 100000}}
faults:
"""
ISOLATED = """
set -e
mount -t tmpfs -o size=64m none "$OUT"
code=0
"$@" || code=$?
cp -r "$OUT/." "$RESULT"
exit $code
"""


def isolated(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run it where this machine's engine is another host's; what it leaves in $OUT is in `folder`/result."""
    out, result = folder / "out", folder / "result"
    out.mkdir()
    result.mkdir()
    away = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "sh", "-c", ISOLATED, "isolated"]
    environ = {**os.environ, "OUT": str(out), "RESULT": str(result), "XDG_STATE_HOME": str(out / "state")}
    return subprocess.run(
        [*away, sys.executable, "-m", "tests.engine_relay", *command, "--out", str(out / "runs")],
        cwd=ROOT,
        env={**environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def test_a_run_on_another_hosts_engine_breaks_measures_heals_and_leaves_nothing(
    tmp_path: Path, model_folder: Path
) -> None:
    scenario = tmp_path / "far.yaml"
    scenario.write_text(SCENARIO + "".join(f"  - {{kind: {keys}}}\n" for keys, _ in FAULTS))
    harness = [sys.executable, "-m", "harness.cli", "run", str(scenario), "--stack", "compose", "--seed", "1"]
    done = isolated(tmp_path, [*harness, "--model", str(model_folder)])
    said = done.stdout + done.stderr
    assert done.returncode in (0, 3), said
    (run,) = [path for path in (tmp_path / "result" / "runs").iterdir() if path.is_dir()]
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    proofs = {e["fault"]: str(e["evidence"]) for e in events if e["kind"] == "fault_proof" and e["proven"]}
    skipped = [e for e in events if e["kind"] in ("fault_skipped", "fault_lost", "cleanup_failed", "broken")]
    for number, (keys, evidence) in enumerate(FAULTS):
        assert evidence in proofs.get(number, "not proven"), (keys, proofs.get(number), skipped, said)
    assert not skipped
    assert {e["fault"] for e in events if e["kind"] == "fault_healed"} == set(range(len(FAULTS)))
    assert any(e["kind"] == "target.started" and e["replica"] == "primary" and e["pid"] for e in events)
    first, last = [e for e in events if e["kind"] == "probe.clock"]
    assert abs(first["offset_s"]) <= first["error_s"] + 0.001 and last["error_s"] < 0.1  # it is one host after all

    verdict = json.loads((run / "verdict.json").read_text())
    findings = {one["check"]: one for one in verdict["findings"]}
    for check in ("complete", "accounting", "clock", "fault_proof"):
        assert findings[check]["outcome"] == "pass", (findings[check], said)
    assert findings["accounting"]["evidence"]["target_received"] > 100, "the load came through, and was counted there"
    assert len(list((run / "stack").glob("*.log"))) >= 6
    assert list((run / "stack" / "logs").iterdir()), "the target's own logs were fetched"
    assert things_of(run.name) == []
    assert not list((tmp_path / "result" / "state").rglob("*.json")), "nothing is registered as alive"
