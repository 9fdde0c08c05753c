"""A target without torch: `stub_target.py replica ...` and `stub_target.py gateway ...` speak the real one's contract.

`STUB_*` environment variables change a replica: STUB_LOAD_S, STUB_MMAP=1 (serve from a mapped weights file),
STUB_EXIT=<status> (a bad model), STUB_ORPHAN=1 (a child that outlives it and keeps its port), STUB_ENGINE=1 (an
engine's process that can be killed).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import mmap
import os
import signal
import subprocess
import sys
import threading
import urllib.request
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from harness.record.clock import SystemClock

CLOCK = SystemClock()
INCARNATION = uuid.uuid4().hex[:8]
ACTIVE: dict[str, Any] = {}
ENGINE: list[subprocess.Popen[bytes]] = []
Route = Callable[[dict[str, str]], tuple[int, dict[str, Any] | str]]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def start_engine() -> None:
    """A child that stands for the engine's process, in the place of the one before."""
    if ENGINE:
        ENGINE[0].kill()
        ENGINE.pop().wait()
    ENGINE.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]))


def faults_answer(method: str, path: str, data: bytes, *, allowed: bool) -> tuple[int, bytes]:
    """The contract of /faults (target_service/replica/README.md); of the faults only kill_engine does something."""
    name = path.removeprefix("/faults").strip("/")
    if not allowed:
        return 403, json.dumps({"error": {"message": "X-Fault-Token is missing or wrong."}}).encode()
    if method == "DELETE" and ACTIVE.pop(name, None) is None:
        return 404, json.dumps({"error": {"message": f"{name!r} is not active."}}).encode()
    if (method, name) == ("POST", "kill_engine"):
        start_engine()
    elif method == "POST":
        ACTIVE[name] = json.loads(data)
    return 200, json.dumps({"active": ACTIVE}).encode()


def serve(port: int, routes: dict[str, Route], token: str | None = None) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/faults":
                self.faults("GET")
                return
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            status, body = routes[parts.path](query) if parts.path in routes else (404, {})
            self.reply(status, (body if isinstance(body, str) else json.dumps(body)).encode())

        def do_POST(self) -> None:
            self.faults("POST")

        def do_DELETE(self) -> None:
            self.faults("DELETE")

        def faults(self, method: str) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            allowed = self.headers.get("X-Fault-Token") == token
            self.reply(*faults_answer(method, self.path, data, allowed=allowed))

        def reply(self, status: int, data: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None: ...

    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # a clean exit, as a draining server does it
    server = Server(("127.0.0.1", port), Handler)
    if os.environ.get("STUB_ORPHAN") == "1":
        child = [sys.executable, "-c", "import time; time.sleep(600)"]
        subprocess.Popen(child, pass_fds=[server.fileno()], start_new_session=True)
    server.serve_forever()


class Replica:
    def __init__(self, name: str, model: Path, slow_load_s: float) -> None:
        self.name = name
        self.slow_load_s = slow_load_s
        self.weights = model / "model.safetensors"
        self.loaded = threading.Event()
        self.held: Any = b""
        self.answered = 0

    def load(self) -> None:
        CLOCK.sleep(float(os.environ.get("STUB_LOAD_S", "0.1")) + self.slow_load_s)
        with self.weights.open("rb") as file:
            mapped = os.environ.get("STUB_MMAP") == "1"
            self.held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if mapped else file.read()
        self.loaded.set()

    def routes(self) -> dict[str, Route]:
        return {
            "/ready": lambda _: (
                200 if self.loaded.is_set() else 503,
                {
                    "ready": self.loaded.is_set(),
                    "reason": "" if self.loaded.is_set() else "loading model",
                    "incarnation": INCARNATION,
                },
            ),
            "/health": lambda _: (200, {}),
            "/version": lambda _: (200, {"pid": os.getpid(), "incarnation": INCARNATION}),
            "/counters": lambda _: (200, {"incarnation": INCARNATION, "answered": self.answered}),
            "/weights": lambda _: (200, {"params_sha256": hashlib.sha256(self.held).hexdigest()}),
            "/metrics": lambda _: (200, "target_running 0\ntarget_queue_depth 0\n"),
            "/answer": self.answer,
        }

    def answer(self, _: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.answered += 1
        return 200, {"served_by": self.name}


class Gateway:
    def __init__(self, replicas: dict[str, str]) -> None:
        self.urls = replicas
        self.replicas: dict[str, dict[str, Any]] = {
            name: {"admitted": False, "ready": False, "missed_beats": 0, "routed_total": 0, "last_routed_s": None}
            for name in replicas
        }
        self.events: list[dict[str, Any]] = []

    def emit(self, kind: str, replica: str, **fields: object) -> None:
        row = {"seq": len(self.events) + 1, "at_s": CLOCK.now(), "kind": kind, "replica": replica, **fields}
        self.events.append(row)

    def beat(self, name: str) -> None:
        while True:
            state = self.replicas[name]
            try:
                with urllib.request.urlopen(f"{self.urls[name]}/ready", timeout=0.2):
                    ready = True
            except OSError:
                ready = False
            if ready and not state["admitted"]:
                self.emit("ready_green", name)
                state.update(admitted=True, missed_beats=0)
                self.emit("readmitted", name)
            elif not ready and state["admitted"]:
                state["missed_beats"] += 1
                self.emit("beat_missed", name)
                if state["missed_beats"] >= 2:
                    state["admitted"] = False
                    self.emit("isolated", name, last_routed_s=state["last_routed_s"])
            state["ready"] = ready
            CLOCK.sleep(0.05)

    def routes(self) -> dict[str, Route]:
        return {
            "/gateway/state": lambda _: (
                200,
                {"incarnation": INCARNATION, "active": "primary", "replicas": self.replicas, "received_distinct": 0},
            ),
            "/gateway/events": lambda query: (
                200,
                {
                    "incarnation": INCARNATION,
                    "monotonic_s": CLOCK.now(),
                    "events": [row for row in self.events if row["seq"] > int(query.get("since", "0"))],
                },
            ),
            "/answer": self.route,
        }

    def route(self, _: dict[str, str]) -> tuple[int, dict[str, Any]]:
        for name, state in self.replicas.items():
            if state["admitted"]:
                state.update(routed_total=state["routed_total"] + 1, last_routed_s=CLOCK.now())
                try:
                    with urllib.request.urlopen(f"{self.urls[name]}/answer", timeout=1) as answer:
                        return 200, json.load(answer)
                except OSError:
                    return 502, {}
        return 503, {}


def main() -> None:
    parser = argparse.ArgumentParser(fromfile_prefix_chars="@")
    parser.add_argument("role")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--name", default="")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--replica", action="append", default=[])
    parser.add_argument("--golden")
    parser.add_argument("--log-dir")
    parser.add_argument("--faults-token-file", type=Path)
    parser.add_argument("--slow-load-s", type=float, default=0.0)
    arguments = parser.parse_args()
    if arguments.role == "gateway":
        gateway = Gateway(dict(item.split("=", 1) for item in arguments.replica))
        for name in gateway.urls:
            threading.Thread(target=gateway.beat, args=(name,), daemon=True).start()
        serve(arguments.port, gateway.routes())
    if "STUB_EXIT" in os.environ:
        print("the model is bad", file=sys.stderr)
        sys.exit(int(os.environ["STUB_EXIT"]))
    if not any(arguments.model.iterdir()):
        print(f"the model is not served: folder: {arguments.model} is empty", file=sys.stderr)
        sys.exit(78)
    if os.environ.get("STUB_ENGINE") == "1":
        start_engine()
    replica = Replica(arguments.name, arguments.model, arguments.slow_load_s)
    threading.Thread(target=replica.load, daemon=True).start()
    token = arguments.faults_token_file.read_text() if arguments.faults_token_file else None
    serve(arguments.port, replica.routes(), token)


if __name__ == "__main__":
    main()
