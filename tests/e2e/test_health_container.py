"""A half-alive service: an API server that answers for itself in front of an engine in a container that opted in.

Needs a Docker engine and the image of the container stack, which has what the example's service needs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness.record.clock import SystemClock
from harness.stack.external.endpoint import endpoint_of
from harness.stack.owned import owned_processes
from harness.stack.ports import HeldPorts
from tests.e2e.conftest import until
from tests.e2e.test_compose import MISSING, things_of

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]

APP = Path(__file__).parents[2] / "scenarios" / "examples" / "own-service" / "app.py"
IMAGE = "reliability-harness/target:local"
NAME = "harness-test-engine"


@pytest.fixture
def engine() -> Iterator[tuple[str, str]]:
    """(its address, its container)."""
    held = HeldPorts(1)
    port = held.ports[0]
    held.forget()
    life = ["--detach", "--init", "--restart", "unless-stopped", "--publish", f"127.0.0.1:{port}:8000"]
    labels = ["--label", f"reliability-harness.target={NAME}", "--volume", f"{APP}:/app.py:ro"]
    command = ["docker", "run", *life, *labels, "--entrypoint", "python3", IMAGE, "/app.py", "8000", "0.0.0.0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    container = done.stdout.strip()
    try:
        assert done.returncode == 0, done.stderr
        endpoint = endpoint_of(f"http://127.0.0.1:{port}")
        until(lambda: endpoint.ask(SystemClock(), "GET", "/health", within_s=2).good, 60)
        yield endpoint.url, container
    finally:
        if container:
            subprocess.run(["docker", "rm", "--force", "--volumes", container], capture_output=True, check=True)


@pytest.fixture
def api_server(engine: tuple[str, str]) -> Iterator[str]:
    """Its /health knows nothing of the engine, to which everything else is forwarded."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.say(200, b"{}") if self.path == "/health" else self.forward(None)

        def do_POST(self) -> None:
            self.forward(self.rfile.read(int(self.headers["Content-Length"])))

        def forward(self, body: bytes | None) -> None:
            asked = urllib.request.Request(engine[0] + self.path, body, {"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(asked, timeout=20) as answer:
                    self.say(answer.status, answer.read())
            except urllib.error.HTTPError as error:
                self.say(error.code, b"")
            except OSError:
                self.say(502, b"")

        def say(self, status: int, data: bytes) -> None:
            with suppress(OSError):
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def started(url: str, folder: Path) -> subprocess.Popen[str]:
    """`harness health` of it, with a state folder of its own."""
    words = ["health", url, "--container", NAME, "--busy", "4", "--rate", "5", "--yes", "--out", str(folder / "out")]
    return subprocess.Popen(
        [sys.executable, "-m", "harness.cli", *words],
        env={**os.environ, "XDG_STATE_HOME": str(folder / "state")},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def inspected(container: str, what: str) -> str:
    command = ["docker", "inspect", "--format", what, container]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def state_of_server(container: str) -> str:
    pid = inspected(container, "{{.State.Pid}}")
    server = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
    return Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[0]


def run_of(folder: Path) -> str:
    (name,) = (one.name for one in (folder / "out").iterdir() if one.is_dir())
    return name


def test_a_page_that_knows_nothing_of_the_engine_is_blind_and_a_chat_is_not(
    engine: tuple[str, str], api_server: str, tmp_path: Path
) -> None:
    one = started(api_server, tmp_path)
    said, _ = one.communicate(timeout=150)
    assert one.returncode == 0, said
    found = json.loads((tmp_path / "out" / "health.json").read_text())
    probes = {probe["probe"]: probe for probe in found["probes"]}
    page, chat = probes["GET /health"], probes["a chat"]
    assert page["detected_s"] == {"hangs": None, "is dead": None}, said
    assert page["partial_score"] <= 0 and page["score"] is None
    assert chat["detected_s"]["hangs"] < 2.5 and chat["detected_s"]["is dead"] < 2.5
    assert chat["partial_score"] > 0.3 and chat["lasted_s"]["is dead"] <= 10
    assert "partial score of: hangs, is dead" in said
    assert [words for words in found["not_tested"] if "answers wrongly" in words] and not found["still_down"]
    verdict = json.loads((tmp_path / "out" / run_of(tmp_path) / "verdict.json").read_text())
    assert "needed to call it steady" not in verdict["reason"]
    assert "Health checks" in (tmp_path / "out" / run_of(tmp_path) / "report.html").read_text()
    assert inspected(engine[1], "{{.State.Running}} {{.RestartCount}}") == "true 1"
    assert state_of_server(engine[1]) != "T"
    assert things_of(run_of(tmp_path)) == [] and not list(owned_processes(run_of(tmp_path)))


def test_an_engine_that_is_frozen_goes_on_when_the_harness_is_killed(
    engine: tuple[str, str], api_server: str, tmp_path: Path
) -> None:
    one = started(api_server, tmp_path)
    try:
        until(lambda: state_of_server(engine[1]) == "T" or one.poll() is not None, 60)
        assert state_of_server(engine[1]) == "T"
    finally:
        one.kill()
        one.communicate()
    until(lambda: state_of_server(engine[1]) != "T", 8)
    until(lambda: things_of(run_of(tmp_path)) == [] and not list(owned_processes(run_of(tmp_path))), 20)
    assert inspected(engine[1], "{{.RestartCount}}") == "0"
