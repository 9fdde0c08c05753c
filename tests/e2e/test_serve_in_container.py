"""Unmodified `transformers serve` in a container that opted in: looked at, loaded, paused, killed, and served again.

The container is made from the target's image, which has Python and the libraries of the system; what `transformers
serve` needs beside them comes from this interpreter's own packages, mounted read-only.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.record.clock import SystemClock
from harness.stack.external.endpoint import endpoint_of
from harness.stack.ports import HeldPorts
from tests.e2e.conftest import Start
from tests.e2e.test_compose import MISSING, things_of
from tests.e2e.test_external import events_of, until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.model,
    pytest.mark.skipif(MISSING is not None, reason=str(MISSING)),
]
IMAGE = "reliability-harness/target:local"
MINE = "harness-test=serve-in-container"
SERVE = "import sys; from transformers.cli.transformers import main; sys.argv[0] = 'transformers'; sys.exit(main())"


@pytest.fixture
def serving(model_folder: Path) -> Iterator[tuple[str, str]]:
    """(its address, its container)."""
    import transformers

    packages = Path(transformers.__file__).parents[1].resolve()
    held = HeldPorts(1)
    port = held.ports[0]
    held.forget()
    labels = ["--label", "reliability-harness.target=llm", "--label", MINE]
    life = ["--detach", "--init", "--restart", "unless-stopped", "--publish", f"127.0.0.1:{port}:8000"]
    mounts = ["--volume", f"{packages}:/packages:ro", "--volume", f"{model_folder.resolve()}:/model:ro"]
    cache = ["--tmpfs", "/cache:uid=10001", "--env", "HF_HUB_CACHE=/cache"]  # /v1/models fails where there is none
    environ = [*cache, "--env", "PYTHONPATH=/packages", "--env", "HF_HUB_OFFLINE=1", "--env", "OMP_NUM_THREADS=1"]
    serve = [IMAGE, "-c", SERVE, "serve", "--host", "0.0.0.0", "--port", "8000", "--device", "cpu", "/model"]
    command = ["docker", "run", *life, *labels, *mounts, *environ, "--entrypoint", "python3", *serve]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    container = done.stdout.strip()
    try:
        assert done.returncode == 0, done.stderr
        endpoint = endpoint_of(f"http://127.0.0.1:{port}")
        until(lambda: endpoint.ask(SystemClock(), "GET", "/health", within_s=2).good, 90)
        yield endpoint.url, container
    finally:
        held.forget()
        if container:
            subprocess.run(["docker", "rm", "--force", "--volumes", container], capture_output=True, check=True)


def test_a_server_that_we_did_not_write_is_paused_and_killed_in_its_container_and_serves_again(
    serving: tuple[str, str], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, container = serving
    monkeypatch.setenv("HARNESS_YES", "1")
    one = start(f"""
name: serve-in-container
external:
  url: {url}
  containers: {MINE}
  golden_every_s: 4
  max_tokens: 6
  prompts: {{chat: [Hello, I loved the film], sentiment: [A good bed, The pizza was horrible]}}
load: {{rate_per_s: 3, deadline_s: 4, mix: {{chat_stream: 1, sentiment: 1}}}}
phases: {{baseline_s: 10, recovery_s: 20}}
warmup_max_s: 0
steady_state: {{min_success_rate: 0.8}}
faults:
  - {{kind: process.pause, on: llm, for_s: 3}}
  - {{kind: process.kill, on: llm, at_s: 6}}
observe: {{lost_requests: {{max: 1000}}, wrong_answers: {{max: 0}}}}
""", stack="external")  # fmt: skip
    assert one.process.wait(timeout=150) in (0, 3), one.said()
    events = events_of(one)
    proofs = {e["fault"]: str(e["evidence"]) for e in events if e["kind"] == "fault_proof" and e["proven"]}
    assert "is in state T (stopped)" in proofs[0], one.said()
    assert "terminated by SIGKILL" in proofs[1]
    assert {e["fault"] for e in events if e["kind"] == "fault_healed"} == {0, 1}
    assert any(e["kind"] == "target.started" and e["replica"] == "llm" for e in events), "its engine restarted it"
    verdict = json.loads((one.folder / "verdict.json").read_text())
    assert verdict["sli"]["checked_answers"] > 10 and verdict["sli"]["wrong_answers"] == 0
    assert things_of(one.folder.name) == [] and not one.owned()
    facts = ["docker", "inspect", "--format", "{{.State.Running}} {{.RestartCount}}", container]
    assert subprocess.run(facts, capture_output=True, text=True, check=True).stdout.split() == ["true", "1"]
    until(lambda: endpoint_of(url).ask(SystemClock(), "GET", "/health", within_s=2).good, 60)
