"""One look at a server through a socket: what came back, when, and how the connection ended."""

from __future__ import annotations

import itertools
import json
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from harness.model.plan import Prompt
from harness.record.clock import Clock
from harness.stack.links import Ask, Seen

__all__ = ["Addressed", "BackgroundLook", "Connect", "chat_body", "look_at", "request_bytes"]

Connect = Callable[[float], socket.socket]  # takes the limit in seconds; raises OSError

BYTES_MAX = 8 * 1024 * 1024
PROBE = {"X-Probe": "harness-look"}
NAMED = {"X-Request-Id": "harness-look"}  # the same words in every answer


@dataclass(frozen=True)
class Addressed:
    """How a server is spoken to: headers that are always there, what stands before every path, which model."""

    headers: Mapping[str, str] = field(default_factory=lambda: {"Host": "target"})
    path: str = ""
    model: str | None = None


class BackgroundLook:
    """Looks in a thread, since a look at a broken link takes as long as its limit."""

    def __init__(self, look: Callable[[], Seen]) -> None:
        self._look = look
        self._seen: Seen | None = None
        threading.Thread(target=self._work, name="look", daemon=True).start()

    def seen(self) -> Seen | None:
        return self._seen

    def _work(self) -> None:
        self._seen = self._look()


def chat_body(prompt: Prompt, model: str | None, *, stream: bool = False) -> dict[str, object]:
    """A chat as the load sends it."""
    named: dict[str, object] = {} if model is None else {"model": model}
    said = {"messages": list(prompt.messages), "max_tokens": prompt.max_tokens, "temperature": 0, "stream": stream}
    return named | said


def request_bytes(ask: Ask, prompt: Prompt, to: Addressed | None = None) -> bytes:
    """The requests of a look, pipelined; the server closes after the last, unless it is to keep the connection.

    `to`: how the server is spoken to; by default as the reference target's.
    """
    to = to or Addressed()
    headers = {**to.headers, **(PROBE if ask.probe else {}), **NAMED}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    if ask.stream:
        if ask.says is not None:
            prompt = Prompt(({"role": "user", "content": ask.says},), prompt.max_tokens, None)
        body = json.dumps(chat_body(prompt, to.model, stream=True)).encode()
        head = f"POST {to.path}/v1/chat/completions HTTP/1.1\r\n{lines}Content-Type: application/json\r\n"
        return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
    page = f"GET {to.path}{ask.page} HTTP/1.1\r\n{lines}"
    last = page if ask.keep else f"{page}Connection: close\r\n"
    return (f"{page}\r\n" * (ask.repeat - 1) + f"{last}\r\n").encode()


def look_at(where: int | Connect, ask: Ask, request: bytes, clock: Clock) -> Seen:
    """Connect to a port of 127.0.0.1, or as told, send `request`, read until the end or the limit."""
    begin_s = clock.now()
    limit_s = begin_s + ask.limit_s
    times: list[float] = []
    data = bytearray()
    closed_s, reset = None, False
    try:
        connection = _to_loopback(where, ask.limit_s) if isinstance(where, int) else where(ask.limit_s)
    except OSError as error:
        return Seen(connected=False, refused=isinstance(error, ConnectionRefusedError))
    with connection:
        with suppress(OSError):  # a reset is seen by the read
            connection.sendall(request)
        while clock.now() < limit_s and len(data) < BYTES_MAX:
            try:
                connection.settimeout(max(0.001, limit_s - clock.now()))
                piece = connection.recv(65536)
            except TimeoutError:
                break
            except OSError:
                reset = True
                break
            if not piece:
                closed_s = clock.now() - begin_s
                break
            data += piece
            times.append(clock.now() - begin_s)
            if ask.keep and _whole(ask, bytes(data)):
                break
    return Seen(
        connected=True,
        answered=_whole(ask, bytes(data)) and not reset,
        status=_status(bytes(data)),
        first_byte_s=times[0] if times else None,
        last_byte_s=times[-1] if times else None,
        closed_s=closed_s,
        reset=reset,
        gap_max_s=max((after - before for before, after in itertools.pairwise(times)), default=0.0),
        sent=len(request),
        data=bytes(data),
    )


def _to_loopback(port: int, limit_s: float) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=limit_s)


def _status(data: bytes) -> int | None:
    words = data.split(b"\r\n", 1)[0].split()
    return int(words[1]) if len(words) > 1 and words[0].startswith(b"HTTP/1.") and words[1].isdigit() else None


def _whole(ask: Ask, data: bytes) -> bool:
    """Every page with as many bytes as it promised, or a stream with its end."""
    if ask.stream:
        return b"data: [DONE]" in data
    found = 0
    while data:
        head, separator, rest = data.partition(b"\r\n\r\n")
        length = next((line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b"")
        if not separator or not head.startswith(b"HTTP/1.") or not length.strip().isdigit():
            return False
        if len(rest) < int(length):
            return False
        data = rest[int(length) :]
        found += 1
    return found == ask.repeat
