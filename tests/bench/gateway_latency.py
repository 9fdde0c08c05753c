"""How much latency does the gateway add at 50 requests a second? Hardened, before a stub that costs nothing.

Every 20 ms one request goes through the gateway, then one to the stub itself, and one through a proxy of aiohttp that
only passes it on, at even distances, so that what else the machine does hits all. The figures are differences of
quantiles; what the bare proxy adds is said beside them, for a gateway on aiohttp cannot add less.
`python -m tests.bench.gateway_latency [seconds [name]]`.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.bench.figure import Figure, Goal
from tests.bench.recorded import serving

P50 = Goal("gateway_added_ms_p50", "<=", 1.2, "ms")
P99 = Goal("gateway_added_ms_p99", "<=", 4, "ms")
GOALS = (P50, P99)
RATE_PER_S, SECONDS, WARM_UP = 50, 40, 100
_ROOT = Path(__file__).parents[2]
_BODY = json.dumps(
    {"model": "m", "messages": [{"role": "user", "content": "Say ok. " * 20}], "max_tokens": 16, "temperature": 0}
).encode()
_REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    b"User-Agent: bench\r\nAccept: */*\r\nX-Request-Id: %%s\r\nContent-Length: %d\r\n\r\n%s"
) % (len(_BODY), _BODY)


def figures() -> list[Figure]:
    seen = measure(SECONDS, "hardened")
    return [goal.figure(_added(seen, q), _spread(seen, q)) for goal, q in ((P50, 50), (P99, 99))]


@dataclass(frozen=True)
class Seen:
    """Milliseconds of each request: to the stub itself, through the gateway, through the bare proxy."""

    direct_ms: list[float] = field(default_factory=list)
    through_ms: list[float] = field(default_factory=list)
    bare_ms: list[float] = field(default_factory=list)


def measure(seconds: float, protection: str) -> Seen:
    with (
        serving("tests.bench.trivial_server") as stub,
        _gateway(stub.port, protection) as port,
        _bare_proxy(stub.port) as bare_port,
    ):
        seen = Seen()
        ways = [
            (_Client(port), seen.through_ms),
            (_Client(stub.port), seen.direct_ms),
            (_Client(bare_port), seen.bare_ms),
        ]
        for _ in range(WARM_UP):
            for client, _unused in ways:
                client.ask()
        begin_s = time.monotonic()
        for number in range(int(RATE_PER_S * seconds)):
            for place, (client, measured_ms) in enumerate(ways):
                _sleep_until(begin_s + (number + place / len(ways)) / RATE_PER_S)
                measured_ms.append(client.ask())
        return seen


class _Client:
    """One kept connection, blocking: nothing of the client's own runs between sending and receiving."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._asked = 0

    def ask(self) -> float:
        """Milliseconds from sending a request to the last byte of its answer."""
        self._asked += 1
        begin_s = time.perf_counter()
        self._socket.sendall(_REQUEST % str(self._asked).encode())
        got = b""
        while b"\r\n\r\n" not in got:
            got += self._read()
        head, _, body = got.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        lengths = [int(line[15:]) for line in lines if line.startswith(b"content-length:")]
        if b" 200 " not in lines[0] + b" " or not lengths:
            raise RuntimeError(got.decode(errors="replace"))
        while len(body) < lengths[0]:
            body += self._read()
        return (time.perf_counter() - begin_s) * 1000

    def _read(self) -> bytes:
        some = self._socket.recv(65536)
        if not some:
            raise RuntimeError("the connection was closed")
        return some


def _gateway(stub: int, protection: str) -> AbstractContextManager[int]:
    """The port of a gateway before two replicas that are the stub."""
    replicas = [word for name in ("a", "b") for word in ("--replica", f"{name}=http://127.0.0.1:{stub}")]
    port = _free_port()
    # The stub's answers never stream; how the gateway verifies it is not what is measured.
    options = ["--port", str(port), *replicas, "--protection", protection, "--golden-streams", "off"]
    return _running(["target_service.gateway", *options], port)


def _bare_proxy(stub: int) -> AbstractContextManager[int]:
    port = _free_port()
    return _running(["tests.bench.bare_proxy", str(port), f"http://127.0.0.1:{stub}"], port)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


@contextmanager
def _running(module: list[str], port: int) -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-m", *module], cwd=_ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            _until_ready(port)
            yield port
        finally:
            process.kill()


def _until_ready(port: int) -> None:
    give_up_s = time.monotonic() + 30
    while time.monotonic() < give_up_s:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as one:
                one.sendall(b"GET /ready HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
                if one.recv(4096).startswith(b"HTTP/1.1 200"):
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise RuntimeError("the gateway did not become ready")


def _sleep_until(at_s: float) -> None:
    time.sleep(max(0.0, at_s - time.monotonic()))


def _added(seen: Seen, q: int) -> float:
    return float(np.percentile(seen.through_ms, q) - np.percentile(seen.direct_ms, q))


def _spread(seen: Seen, q: int) -> str:
    through, direct, bare = (float(np.percentile(each, q)) for each in (seen.through_ms, seen.direct_ms, seen.bare_ms))
    said = f"{through:.2f} with, {direct:.2f} ms without; a bare aiohttp proxy adds {bare - direct:.2f} ms"
    return f"{said}; {len(seen.through_ms)} requests each"


if __name__ == "__main__":
    _SECONDS, _PROTECTION = [*sys.argv[1:], "10", "hardened"][:2] if len(sys.argv) != 2 else (sys.argv[1], "hardened")
    _seen = measure(float(_SECONDS), _PROTECTION)
    for _q in (50, 90, 99):
        print(_q, _spread(_seen, _q))
