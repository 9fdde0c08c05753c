"""An engine that holds what a test puts into it: the part of Docker's API that the harness uses, on its own socket."""

from __future__ import annotations

import json
import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from harness.stack.containers.labelled import Containers

Answer = tuple[int, Any]
Of = Callable[[str], Containers]  # the containers of a run; closed when the test is over


@dataclass
class StubEngine:
    """Each thing is id -> its labels; a container's state is what `inspect` says."""

    containers: dict[str, dict[str, str]] = field(default_factory=dict)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    networks: dict[str, dict[str, str]] = field(default_factory=dict)
    volumes: dict[str, dict[str, str]] = field(default_factory=dict)
    images: set[str] = field(default_factory=set)
    stuck: set[str] = field(default_factory=set)  # what it refuses to remove
    events: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)  # every request that changes something

    def answer(self, method: str, path: str, query: dict[str, list[str]]) -> Answer:
        """What it says, as JSON."""
        if path in ("/version", "/_ping"):
            return 200, {"ApiVersion": "1.41", "Version": "20.10.24", "MinAPIVersion": "1.12"}
        if method != "GET":
            self.asked.append(f"{method} {path}")
        labels = json.loads(query.get("filters", ["{}"])[0]).get("label", [])
        for kind, row in (("containers", self._row), ("networks", self._network), ("volumes", self._volume)):
            things: dict[str, dict[str, str]] = getattr(self, kind)
            if path in (f"/{kind}", f"/{kind}/json"):
                rows = [row(one) for one, has in things.items() if carries(has, labels)]
                return 200, {"Volumes": rows} if kind == "volumes" else rows
            if match := re.fullmatch(rf"/{kind}/([^/]+)(/.*)?", path):
                return self._one(method, things, match[1], match[2] or "")
        if match := re.fullmatch(r"/images/(.+)/json", path):
            return (200, {"Id": "sha256:1"}) if match[1] in self.images else (404, {"message": "No such image"})
        return 404, {"message": f"page not found: {path}"}

    def _one(self, method: str, things: dict[str, dict[str, str]], one: str, what: str) -> Answer:
        if one not in things:
            return 404, {"message": f"No such thing: {one}"}
        if method == "DELETE":
            if one in self.stuck:
                return 500, {"message": f"{one} is in use"}
            del things[one]
            return 204, None
        if what == "/logs":
            return 200, self.logs.get(one, "").encode()
        if method == "POST":
            return 204, None
        return 200, self._network(one) if things is self.networks else self._facts(one)

    def _row(self, one: str) -> dict[str, Any]:
        return {"Id": one, "Names": [f"/{one}"], "Labels": self.containers[one]}

    def _network(self, one: str) -> dict[str, Any]:
        return {"Id": one, "Name": one, "Labels": self.networks[one]}

    def _volume(self, one: str) -> dict[str, Any]:
        return {"Name": one, "Labels": self.volumes[one]}

    def _facts(self, one: str) -> dict[str, Any]:
        state = {"Status": "running", "Pid": 7, "ExitCode": 0, "StartedAt": "", **self.states.get(one, {})}
        config = {"Labels": self.containers[one], "Tty": True}
        return {"Id": one, "Name": f"/{one}", "Config": config, "State": state, "RestartCount": 0}


def carries(labels: dict[str, str], wanted: list[str]) -> bool:
    return all(labels.get(name) == value for name, _, value in (one.partition("=") for one in wanted))


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    engine: StubEngine

    def handle_error(self, *_: object) -> None:
        """A client that has gone needs no answer."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server  # type: ignore[assignment]
    protocol_version = "HTTP/1.1"
    timeout = 5

    def _do(self) -> None:
        parts = urlsplit(self.path)
        path = re.sub(r"^/v1\.\d+", "", unquote(parts.path))
        if path == "/events":
            self._stream(self.server.engine.events)
            return
        status, said = self.server.engine.answer(self.command, path, parse_qs(parts.query))
        body = said if isinstance(said, bytes) else b"" if said is None else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, rows: list[dict[str, Any]]) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for row in [*(json.dumps(row).encode() + b"\n" for row in rows), b""]:
            self.wfile.write(f"{len(row):x}\r\n".encode() + row + b"\r\n")

    do_GET = do_POST = do_DELETE = _do  # noqa: N815  names of the base class

    def address_string(self) -> str:
        return "test"

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(engine: StubEngine, socket: Path) -> Iterator[str]:
    """The engine answers at the address that is yielded, as DOCKER_HOST has it."""
    with _Server(str(socket), _Handler) as server:
        server.engine = engine
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"unix://{socket}"
        finally:
            server.shutdown()
            thread.join()
            socket.unlink(missing_ok=True)


def bare_model(folder: Path) -> Path:
    """A model as far as anybody looks before a run begins."""
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"x")
    prompt = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1, "answer": "a"}
    (folder / "golden.json").write_text(json.dumps({"tasks": {"chat": [prompt]}}))
    return folder
