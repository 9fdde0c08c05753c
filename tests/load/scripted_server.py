"""A target that misbehaves on request: the last user message names what it does. Raw asyncio, in a thread."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ANSWER = "blue"


def completion(content: str = ANSWER, finish: str = "stop") -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish}
    return json.dumps({"choices": [choice], "usage": {"completion_tokens": 3}}).encode()


def whole(body: bytes, status: str = "200 OK", extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nX-Served-By: replica-0\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


def event(data: str | dict[str, object]) -> bytes:
    text = data if isinstance(data, str) else json.dumps(data)
    line = f"data: {text}\r\n\r\n".encode()  # CRLF: must be accepted too
    return b"%x\r\n%s\r\n" % (len(line), line)


def piece(content: str = "", finish: str | None = None) -> bytes:
    return event({"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}]})


START, BLUE, FINISH, DONE = piece(""), piece("bl") + piece("ue"), piece(finish="stop"), event("[DONE]")
ERROR: dict[str, object] = {"error": {"message": "engine died", "code": 500}}

FIXED: dict[str, bytes] = {
    "ok": whole(completion()),
    "wrong": whole(completion("red")),
    "busy": whole(b"{}", "429 Too Many Requests"),
    "bad_json": whole(completion()[:-5]),
    "error_json": whole(json.dumps(ERROR).encode()),
    "abort": whole(completion(finish="abort")),
    "stream_ok": STREAM_HEAD + START + BLUE + FINISH + event({"choices": []}) + DONE + LAST_CHUNK,
    "stream_wrong": STREAM_HEAD + piece("red") + FINISH + DONE + LAST_CHUNK,
    "stream_no_done": STREAM_HEAD + BLUE + FINISH + LAST_CHUNK,
    "stream_no_finish": STREAM_HEAD + BLUE + DONE + LAST_CHUNK,
    "stream_no_content": STREAM_HEAD + START + FINISH + DONE + LAST_CHUNK,
    "stream_error_event": STREAM_HEAD + BLUE + event(ERROR) + DONE + LAST_CHUNK,
    "stream_bad_event": STREAM_HEAD + BLUE + event("{") + FINISH + DONE + LAST_CHUNK,
    "stream_abort": STREAM_HEAD + BLUE + piece(finish="abort") + DONE + LAST_CHUNK,
}
# Sent, then the connection is closed or reset without a proper end.
CUT: dict[str, bytes] = {
    "closed": b"",
    "cut_body": whole(completion())[:-4],
    "cut_headers": b"HTTP/1.1 200 OK\r\nContent-Le",
    "stream_cut": STREAM_HEAD + BLUE,
    "until_close": b"HTTP/1.1 200 OK\r\nX-Served-By: replica-0\r\n\r\n" + completion(),
}
DRIP_S = 0.05


class ScriptedServer:
    """Counts connections, and requests by id."""

    def __init__(self) -> None:
        self.url = ""
        self.connections = 0
        self.requests: Counter[str] = Counter()
        self.bodies: list[dict[str, object]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; is the connection still to be used?"""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        self.bodies.append(body)
        self.requests[headers["x-request-id"]] += 1
        script = body["messages"][-1]["content"].split()[0]
        if script in FIXED:
            writer.write(FIXED[script])
        elif script in CUT:
            writer.write(CUT[script])
            return False
        elif script == "flaky":  # fails at first, with any request id
            again = self.requests[headers["x-request-id"]] > 1
            writer.write(FIXED["ok"] if again else whole(b"", "503 Service Unavailable"))
        elif script == "impolite":  # promises keep-alive, then closes the idle connection
            writer.write(FIXED["ok"])
            await asyncio.sleep(DRIP_S)
            return False
        elif script == "reset":
            linger_zero = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
            return False
        else:
            await self._slow(script, writer)
        return "connection: close" not in head

    async def _slow(self, script: str, writer: asyncio.StreamWriter) -> None:
        if script == "stream_slow":
            for data in (STREAM_HEAD + piece("bl"), piece("ue"), FINISH + DONE + LAST_CHUNK):
                writer.write(data)
                await asyncio.sleep(DRIP_S)
        elif script == "busy_hang":
            writer.write(whole(b"x" * 10, "503 Service Unavailable")[:-5])
            await asyncio.sleep(30)
        elif script == "drip":
            writer.write(STREAM_HEAD)
            while not writer.is_closing():
                writer.write(piece("x"))
                await writer.drain()
                await asyncio.sleep(DRIP_S)
        else:
            assert script == "hang", script
            await asyncio.sleep(30)


@contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    """Serves until the block is left."""
    target, loop = ScriptedServer(), asyncio.new_event_loop()
    started = threading.Event()

    async def main(on_stop: Callable[[asyncio.Event], None]) -> None:
        stop = asyncio.Event()
        server = await asyncio.start_server(target.serve, "127.0.0.1", 0, backlog=512)
        target.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        on_stop(stop)
        started.set()
        await stop.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    stops: list[asyncio.Event] = []
    thread = threading.Thread(target=lambda: loop.run_until_complete(main(stops.append)))
    thread.start()
    assert started.wait(5)
    try:
        yield target
    finally:
        loop.call_soon_threadsafe(stops[0].set)
        thread.join(5)
        loop.close()
