"""A small OpenAI-compatible server in a thread of the test, with switches for what real ones do differently."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Switches:
    """How it behaves; may be changed while it runs."""

    key: str | None = None  # what Authorization has to hold
    done: bool = True  # streams end in [DONE]
    models: tuple[str, ...] = ("tiny",)
    health: int = 200
    ready: int = 200
    chat: int = 200
    text: str = "An answer."  # to every prompt
    wrong_every: int = 0  # each so-many-th answer is another one
    answers: int = 0  # so far
    refuses: frozenset[str] = frozenset()  # keys of a body that it does not take
    paths: frozenset[str] = frozenset({"/health", "/v1/models"})
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)  # paths of all requests


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    switches: Switches

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        it = self.switches
        self.headers_seen()
        if not self.opened() or self.path not in it.paths:
            self.say(
                401 if not self.opened() else 404, {"error": {"message": f"no: {self.headers.get('Authorization')}"}}
            )
        elif self.path == "/v1/models":
            self.say(it.ready, {"object": "list", "data": [{"id": name} for name in it.models]})
        else:
            self.say(it.health, {"status": "ok"})

    def do_POST(self) -> None:
        it = self.switches
        self.headers_seen()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        it.bodies.append(body)
        if not self.opened():
            return self.say(401, {"error": {"message": f"wrong key: {self.headers.get('Authorization')}"}})
        if it.refuses & set(body):
            return self.say(422, {"detail": f"unexpected: {it.refuses & set(body)}"})
        if it.chat != 200:
            return self.say(it.chat, {"error": {"message": "no"}})
        it.answers += 1
        text = "Another one." if it.wrong_every and it.answers % it.wrong_every == 0 else it.text
        return self.stream(text) if body.get("stream") else self.say(200, _whole(text))

    def opened(self) -> bool:
        return self.switches.key is None or self.headers.get("Authorization") == f"Bearer {self.switches.key}"

    def headers_seen(self) -> None:
        self.switches.asked.append(self.path)
        self.switches.headers.append({name.lower(): value for name, value in self.headers.items()})

    def say(self, status: int, value: object) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def stream(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        pieces = [{"delta": {"content": piece}, "finish_reason": None} for piece in (text[:3], text[3:])]
        events = [json.dumps({"choices": [choice]}) for choice in (*pieces, {"delta": {}, "finish_reason": "stop"})]
        for event in [*events, *(["[DONE]"] if self.switches.done else [])]:
            data = f"data: {event}\n\n".encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.write(b"0\r\n\r\n")


def _whole(text: str) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"choices": [choice], "usage": {"completion_tokens": 3}}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:  # a client that hangs up is no error
        pass


@contextmanager
def serving(switches: Switches, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[str]:
    """Its address, while it serves."""
    handler = type("Handler", (_Handler,), {"switches": switches})
    kind = type("Server", (_Server,), {"address_family": socket.AF_INET6 if ":" in host else socket.AF_INET})
    server = kind((host, 0), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        shown = f"[{host}]" if ":" in host else host
        yield f"{'https' if tls else 'http'}://{shown}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
