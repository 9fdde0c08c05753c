"""Targets that are not the harness's own: a server that we did not write, a secret key, an end by SIGKILL."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cli.main import call
from harness.record.clock import SystemClock
from harness.stack.external.endpoint import endpoint_of
from harness.stack.ports import HeldPorts
from tests.e2e.conftest import Start, events_of, until
from tests.openai_server import Switches, serving

pytestmark = [pytest.mark.e2e]

EXAMPLES = Path(__file__).parents[2] / "scenarios" / "examples"
SECRET = "sk-nobody-may-read-this-7f3a"


@pytest.fixture(autouse=True)
def _agreed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_YES", "1")


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture(scope="module")
def transformers_serve(
    model_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`transformers serve`, as it comes, on the small model."""
    held = HeldPorts(1)
    port = held.ports[0]
    held.forget()
    command = [str(Path(sys.executable).parent / "transformers"), "serve", "--host", "127.0.0.1", "--port", str(port)]
    log = tmp_path_factory.mktemp("serve") / "log"
    home = tmp_path_factory.mktemp("huggingface")
    (home / "hub").mkdir()  # where nothing was ever downloaded, its /v1/models answers 500
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, "--device", "cpu", str(model_folder)],
            stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            env={**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    try:
        endpoint = endpoint_of(f"http://127.0.0.1:{port}")
        until(lambda: endpoint.ask(SystemClock(), "GET", "/health", within_s=2).good or process.poll() is not None, 90)
        assert process.poll() is None, log.read_text()
        yield endpoint.url, process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.mark.model
def test_a_server_that_we_did_not_write_is_looked_at_loaded_broken_and_healed(
    transformers_serve: tuple[str, subprocess.Popen[bytes]], start: Start, tmp_path: Path
) -> None:
    url, server = transformers_serve
    first = tmp_path / "first.yaml"
    assert call(["init", url, "--out", str(first)]) == 0
    assert "health: /health" in first.read_text() and "without a [DONE]" in first.read_text()
    assert call(["check", str(first)]) == 0

    one = start(f"""
name: foreign
external:
  url: {url}
  golden_every_s: 4
  max_tokens: 6
  prompts: {{chat: [Hello, I loved the film, A bad room], sentiment: [A good bed, The pizza was horrible]}}
load: {{rate_per_s: 3, deadline_s: 4, mix: {{chat_stream: 1, sentiment: 1}}}}
phases: {{baseline_s: 8, recovery_s: 4}}
warmup_max_s: 0
steady_state: {{min_success_rate: 0.8}}
faults:
  - {{kind: network.latency, on: gateway, latency_ms: 300, for_s: 3}}
  - {{kind: network.sse_truncate, on: gateway, events: 1, at_s: 4, for_s: 3}}
  - kind: exec
    do: [kill, -STOP, "{server.pid}"]
    undo: [kill, -CONT, "{server.pid}"]
    verify: [grep, "^State:.*T", /proc/{server.pid}/status]
    at_s: 8
    for_s: 4
observe: {{lost_requests: {{max: 1000}}, wrong_answers: {{max: 0}}}}
""", stack="external")  # fmt: skip
    assert one.process.wait(timeout=120) in (0, 3), one.said()
    events = events_of(one)
    proofs = {e["fault"]: str(e["evidence"]) for e in events if e["kind"] == "fault_proof" and e["proven"]}
    assert "ms later than past the proxy" in proofs[0], one.said()
    assert "a token stream broke after 1 events" in proofs[1]
    assert "T (stopped)" in proofs[2]
    assert {e["fault"] for e in events if e["kind"] == "fault_healed"} == {0, 1, 2}
    (recorded,) = [e for e in events if e["kind"] == "golden.recorded"]
    assert recorded["reproducible"] == recorded["asked"] == 5 and recorded["ends_with_done"] is False
    red = {str(e["probe"]) for e in events if e["kind"] == "probe.red"}
    assert {"health", "ready"} <= red, "a stopped process answers no probe"
    verdict = json.loads((one.folder / "verdict.json").read_text())
    assert verdict["sli"]["checked_answers"] > 20 and verdict["sli"]["wrong_answers"] == 0
    assert not one.owned()
    assert server.poll() is None and state_of(server.pid) != "T"


@pytest.mark.model
def test_the_health_score_of_a_server_that_we_did_not_write_is_had_without_breaking_it(
    transformers_serve: tuple[str, subprocess.Popen[bytes]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, server = transformers_serve
    assert call(["health", url, "--rate", "3", "--busy", "3", "--out", str(tmp_path)]) == 0
    said = json.loads((tmp_path / "health.json").read_text())
    probes = {one["probe"]: one for one in said["probes"]}
    assert set(probes) == {"GET /health", "GET /v1/models", "a chat"}, "it has no /ready, and its streams no [DONE]"
    for name, probe in probes.items():
        assert probe["looks_busy"] >= 3, name
        assert probe["score"] is None and probe["detected_s"] == {}, probe
        assert probe["false_red"] <= (1 if name == "a chat" else 0.5), probe
    assert any("GET /ready" in words for words in said["not_tested"])
    assert "cannot break what it did not start" in capsys.readouterr().out
    assert server.poll() is None and state_of(server.pid) != "T"


def test_a_key_opens_the_target_over_tls_of_the_users_own_and_is_in_no_file_of_the_run(
    start: Start, own_authority: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARGETS_API_KEY", SECRET)
    certificate, context = own_authority
    switches, flag = Switches(key=SECRET), certificate.parent / "flag"
    with serving(switches, context) as url:
        one = start(f"""
name: secret
external:
  url: {url.replace("127.0.0.1", "localhost")}
  api_key_env: TARGETS_API_KEY
  ca_file: {certificate}
  golden_every_s: 1
load: {{rate_per_s: 10, mix: {{chat_stream: 1, sentiment: 1}}}}
phases: {{baseline_s: 3, recovery_s: 3}}
warmup_max_s: 0
faults:
  - {{kind: network.latency, on: gateway, latency_ms: 300, for_s: 2}}
  - kind: exec
    do: [touch, {flag}]
    undo: [rm, -f, {flag}]
    verify: [find, {flag}, -exec, printenv, TARGETS_API_KEY, ;]
    for_s: 2
observe: {{wrong_answers: {{max: 0}}}}
""", stack="external")  # fmt: skip
        until(lambda: any(e["kind"] == "fault_end" for e in events_of(one)) or one.process.poll() is not None, 60)
        switches.key = "another"  # from now on it answers 401 and repeats the key that it was given
        assert one.process.wait(timeout=60) in (0, 1, 3), one.said()
    proofs = {e["fault"]: str(e["evidence"]) for e in events_of(one) if e["kind"] == "fault_proof" and e["proven"]}
    assert "ms later than past the proxy" in proofs[0], one.said()
    assert proofs[1] == "verify: [TARGETS_API_KEY]"
    outcomes = json.loads((one.folder / "verdict.json").read_text())["sli"]["outcomes"]
    assert outcomes["ok"] > 20 and outcomes["http_error"] > 5
    for place in (one.out, one.state, one.log.parent):
        holding = [path for path in place.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
        assert not holding
    assert SECRET not in one.said()


def test_what_a_command_broke_is_taken_back_when_the_harness_dies(start: Start, tmp_path: Path) -> None:
    flag = tmp_path / "broken"
    with serving(Switches()) as url:
        one = start(f"""
name: dies
external: {{url: {url}}}
load: {{rate_per_s: 10}}
phases: {{baseline_s: 2, recovery_s: 30}}
warmup_max_s: 0
faults:
  - {{kind: exec, do: [touch, {flag}], undo: [rm, -f, {flag}], verify: [test, -e, {flag}], for_s: 30}}
  - {{kind: network.down, on: gateway, for_s: 30}}
""", stack="external")  # fmt: skip
        until(flag.exists, 60)
        until(lambda: any(e["kind"] == "fault_proof" for e in events_of(one)), 20)
        one.process.kill()
        one.process.wait()
        until(lambda: not flag.exists(), 5)
        until(lambda: not one.owned(), 10)


def test_the_examples_of_a_service_of_ones_own_and_of_a_url_do_what_they_say(tmp_path: Path) -> None:
    held = HeldPorts(1)
    port = held.ports[0]
    held.forget()
    app = subprocess.Popen([sys.executable, str(EXAMPLES / "own-service" / "app.py"), str(port)])
    try:
        endpoint = endpoint_of(f"http://127.0.0.1:{port}")
        until(lambda: endpoint.ask(SystemClock(), "GET", "/health", within_s=1).good, 20)
        with serving(Switches(done=False, refuses=frozenset({"cache_salt"}))) as url:
            targets = {"own-service": endpoint.url, "openai-url": url}
            runs = {
                name: subprocess.Popen(
                    [sys.executable, "-m", "harness.cli", "run", str(EXAMPLES / name / "scenario.yaml"), "--seed", "1",
                     "--url", where, "--out", str(tmp_path / name)],
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                )
                for name, where in targets.items()
            }  # fmt: skip
            said = {name: one.communicate(timeout=90)[0] for name, one in runs.items()}
    finally:
        app.terminate()
        app.wait(10)
    for name, one in runs.items():
        assert one.returncode in (0, 3), said[name]  # 3: a busy machine
        assert f"--url {targets[name]}" in said[name], "the replay needs it"
        (events,) = (tmp_path / name).glob("*/events.jsonl")
        lines = [json.loads(line) for line in events.read_text().splitlines()]
        wanted = 1 if name == "own-service" else 2
        assert sum(e["kind"] == "fault_proof" and e["proven"] for e in lines) == wanted, said[name]


def test_the_example_of_a_service_of_ones_own_is_a_test_of_that_service(tmp_path: Path) -> None:
    held = HeldPorts(1)
    port = held.ports[0]
    held.forget()
    app = subprocess.Popen([sys.executable, str(EXAMPLES / "own-service" / "app.py"), str(port)])
    text = (EXAMPLES / "own-service" / "scenario.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(text.replace("127.0.0.1:8000", f"127.0.0.1:{port}"))
    try:
        until(lambda: endpoint_of(f"http://127.0.0.1:{port}").ask(SystemClock(), "GET", "/health", within_s=1).good, 20)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:locust", "-p", "no:cacheprovider", "-v", "mine.yaml"],
            cwd=tmp_path, env={**os.environ, "HARNESS_YES": "1"}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
    finally:
        app.terminate()
        app.wait(10)
    assert "1 passed" in done.stdout or "INCONCLUSIVE" in done.stdout, done.stdout  # a busy machine
    (plan,) = tmp_path.glob("reports/*/plan.json")
    assert json.loads(plan.read_text())["stack"] == "external"
    (events,) = tmp_path.glob("reports/*/events.jsonl")
    seen = [json.loads(line) for line in events.read_text().splitlines()]
    assert [one["proven"] for one in seen if one["kind"] == "fault_proof"] == [True]
