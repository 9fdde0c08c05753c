"""A chat-completion server that costs next to nothing: `python -m tests.bench.trivial_server`, ends with its stdin.

Raw asyncio; it answers by looking for `"stream":true` in the bytes. A stream is 8 tokens, 20 ms apart.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

_JSON = json.dumps(
    {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
        "usage": {"completion_tokens": 1},
    }
).encode()
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Served-By: trivial\r\nContent-Length: %d\r\n\r\n%s"
    % (
        len(_JSON),
        _JSON,
    )
)
_STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Served-By: trivial\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_TOKENS, _GAP_S = 8, 0.02


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _event(delta: dict[str, str], finish: str | None) -> bytes:
    event = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return b"data: " + json.dumps(event).encode() + b"\n\n"


_PIECE = _chunk(_event({"content": "ok "}, None))
_END = _chunk(_event({}, "stop") + b"data: [DONE]\n\n") + b"0\r\n\r\n"


class TrivialServer(asyncio.Protocol):
    """Requests come whole: they are small and sent in one write."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if b'"stream":true' in data:
            self._transport.write(_STREAM + _PIECE)
            asyncio.get_running_loop().call_later(_GAP_S, self._next, _TOKENS - 1)
        else:
            self._transport.write(_ANSWER)

    def _next(self, left: int) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if not left:
            self._transport.write(_END)
            return
        self._transport.write(_PIECE)
        asyncio.get_running_loop().call_later(_GAP_S, self._next, left - 1)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()

    def on_stdin() -> None:
        if not os.read(0, 4096):
            over.set()

    loop.add_reader(0, on_stdin)
    server = await loop.create_server(TrivialServer, "127.0.0.1", 0, backlog=4096)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await over.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
    sys.exit(0)
