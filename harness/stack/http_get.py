"""HTTP with a limit on the total time.

The time-outs of `requests` and `http.client` hold for each read, so a server that trickles bytes could hold a thread
for ever, and `requests` takes 130 ms to import. HTTP/1.0 makes the end of the answer the end of the connection: no
keep-alive, no chunks, nothing to parse but the status.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from harness.record.clock import Clock

__all__ = ["Answer", "get_json", "send_json"]

ANSWER_BYTES_MAX = 16 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """A status and the JSON object that came with it; empty when the body was something else."""

    status: int
    body: dict[str, Any]
    data: bytes = field(default=b"", compare=False, repr=False)  # as it came


def get_json(url: str, *, clock: Clock, total_s: float) -> Answer | None:
    """The answer, or None when there was no complete one within `total_s` seconds."""
    return send_json("GET", url, clock=clock, total_s=total_s)


def send_json(  # noqa: PLR0913  the parts of a request
    method: str,
    url: str,
    *,
    clock: Clock,
    total_s: float,
    headers: Mapping[str, str] | None = None,
    body: Mapping[str, object] | None = None,
) -> Answer | None:
    """The same for any method; `body` is sent as JSON."""
    parts = urlsplit(url)
    request = _request(method, url, headers or {}, body)
    deadline = clock.now() + total_s
    received = bytearray()
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=total_s) as sock:
            sock.settimeout(max(0.001, deadline - clock.now()))
            sock.sendall(request)
            while len(received) < ANSWER_BYTES_MAX:
                sock.settimeout(max(0.001, deadline - clock.now()))
                chunk = sock.recv(65536)
                if not chunk:
                    return parse_answer(bytes(received))
                received += chunk
    except OSError:  # a time-out is one, too
        pass
    return None


def _request(method: str, url: str, headers: Mapping[str, str], body: Mapping[str, object] | None) -> bytes:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    data = b"" if body is None else json.dumps(body).encode()
    sent = {"Host": parts.netloc, "Accept": "application/json", **headers}
    if body is not None:
        sent |= {"Content-Type": "application/json", "Content-Length": str(len(data))}
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    return f"{method} {target} HTTP/1.0\r\n{head}\r\n".encode() + data


def parse_answer(received: bytes) -> Answer | None:
    """None: not a complete HTTP answer."""
    head, separator, body = received.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    words = lines[0].split(maxsplit=2)
    if not separator or len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        return None
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip() != str(len(body)).encode():
            return None  # cut short
    try:
        value_ = json.loads(body)
    except ValueError:
        value_ = {}
    return Answer(int(words[1]), value_ if isinstance(value_, dict) else {}, body)
