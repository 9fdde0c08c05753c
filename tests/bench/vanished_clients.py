"""What is left 1 s after 200 clients have vanished in the middle of their streams?

The base line is the replica at rest after 200 clients were served to the end: then caches and pools have the size that
so many clients need. Slots are requests that run or wait, descriptors those of server and engine, memory what the
kernel cannot take back of both.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from dataclasses import dataclass

from target_service.replica.memory import kept_bytes
from tests.bench.bench_replica import BenchReplica
from tests.bench.figure import Figure, Goal

CLIENTS = 200
LATER_S = 1.0
REST_WITHIN_S = 120.0
PIECE_WITHIN_S = 300.0
OPTIONS = ("--protection", "hardened", "--max-active", str(CLIENTS), "--max-queue", str(2 * CLIENTS),
           "--watchdog-s", "0", "--run-timeout-s", "0", "--queue-timeout-s", "0", "--token-cost-ms", "0")  # fmt: skip
SLOTS = Goal("vanished_slots_left", "<=", 0)
DESCRIPTORS = Goal("vanished_descriptors_left", "<=", 0)
MEMORY = Goal("vanished_memory_ratio", "<=", 1.05)
GOALS = (SLOTS, DESCRIPTORS, MEMORY)


@dataclass(frozen=True)
class Held:
    """What a replica holds at a moment."""

    slots: float
    descriptors: int
    memory_bytes: int


def figures(clients: int = CLIENTS) -> list[Figure]:
    with BenchReplica(*OPTIONS) as replica:
        replica.wait_ready()
        asyncio.run(_all(replica.port, clients, tokens=4, to_the_end=True))
        _await_rest(replica)
        base = _held(replica)
        asyncio.run(_all(replica.port, clients, tokens=480, to_the_end=False))
        time.sleep(LATER_S)
        left = _held(replica)
    print(f"base line {base}\nleft      {left}", file=sys.stderr, flush=True)
    return [
        SLOTS.figure(left.slots),
        DESCRIPTORS.figure(left.descriptors - base.descriptors, f"{base.descriptors} at the base line"),
        MEMORY.figure(left.memory_bytes / base.memory_bytes, f"{base.memory_bytes / 2**20:.0f} MB at the base line"),
    ]


def _held(replica: BenchReplica) -> Held:
    pids = replica.pids()
    descriptors = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)
    return Held(_slots(replica), descriptors, kept_bytes(pids))


def _slots(replica: BenchReplica) -> float:
    text = replica.get("/metrics")[1].decode()
    rows = dict(row.rsplit(" ", 1) for row in text.splitlines() if not row.startswith("#"))
    return float(rows["target_running"]) + float(rows["target_queue_depth"])


def _await_rest(replica: BenchReplica) -> None:
    give_up_s = time.monotonic() + REST_WITHIN_S
    while _slots(replica) > 0:
        if time.monotonic() > give_up_s:
            raise RuntimeError("the replica does not come to rest")
        time.sleep(0.05)
    time.sleep(LATER_S)


async def _all(port: int, clients: int, *, tokens: int, to_the_end: bool) -> None:
    """Every client streams; without an end they all vanish together, when each has got a piece of text."""
    async with asyncio.timeout(PIECE_WITHIN_S):
        writers = await asyncio.gather(*(_stream(port, tokens, to_the_end=to_the_end) for _ in range(clients)))
    for writer in writers:
        # Without a goodbye: what is unread makes the kernel send a reset.
        writer.transport.abort()
    for writer in writers:
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _stream(port: int, tokens: int, *, to_the_end: bool) -> asyncio.StreamWriter:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    chat = {
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": tokens,
        "ignore_eos": True,
        "stream": True,
    }
    body = json.dumps(chat).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    seen = b""
    wanted, times = (b"[DONE]", 1) if to_the_end else (b'"finish_reason":null', 2)
    while seen.count(wanted) < times:
        piece = await reader.read(65536)
        seen += piece
        if not piece or not seen.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"a stream ended or was refused: {seen[:200]!r}")
    return writer


if __name__ == "__main__":
    print(figures(int(sys.argv[1]) if len(sys.argv) > 1 else CLIENTS))
