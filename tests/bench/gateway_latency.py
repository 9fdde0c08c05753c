"""How much latency does the gateway add at 50 requests a second? Hardened, before a stub that costs nothing.

Every 20 ms one request goes through the gateway and, 10 ms later, one to the stub itself, so that what else the machine
does hits both. The figures are differences of quantiles. `python -m tests.bench.gateway_latency [seconds [name]]`.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
    direct_ms, through_ms = measure(SECONDS, "hardened")
    p50, p99 = (np.percentile(through_ms, q) - np.percentile(direct_ms, q) for q in (50, 99))
    return [P50.figure(p50, _spread(direct_ms, through_ms, 50)), P99.figure(p99, _spread(direct_ms, through_ms, 99))]


def measure(seconds: float, protection: str) -> tuple[list[float], list[float]]:
    """Milliseconds of each request to the stub itself and of each through the gateway."""
    with serving("tests.bench.trivial_server") as stub, _gateway(stub.port, protection) as port:
        direct, through = _Client(stub.port), _Client(port)
        for _ in range(WARM_UP):
            direct.ask()
            through.ask()
        direct_ms, through_ms = [], []
        begin_s = time.monotonic()
        for number in range(int(RATE_PER_S * seconds)):
            _sleep_until(begin_s + number / RATE_PER_S)
            through_ms.append(through.ask())
            _sleep_until(begin_s + (number + 0.5) / RATE_PER_S)
            direct_ms.append(direct.ask())
        return direct_ms, through_ms


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


@contextmanager
def _gateway(stub: int, protection: str) -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    replicas = [word for name in ("a", "b") for word in ("--replica", f"{name}=http://127.0.0.1:{stub}")]
    command = [sys.executable, "-m", "target_service.gateway", "--port", str(port), *replicas]
    with subprocess.Popen([*command, "--protection", protection], cwd=_ROOT, stderr=subprocess.DEVNULL) as process:
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


def _spread(direct_ms: list[float], through_ms: list[float], q: int) -> str:
    with_it, without = (float(np.percentile(each, q)) for each in (through_ms, direct_ms))
    return f"{with_it:.2f} with, {without:.2f} ms without; {len(through_ms)} requests each"


if __name__ == "__main__":
    _SECONDS, _PROTECTION = [*sys.argv[1:], "10", "hardened"][:2] if len(sys.argv) != 2 else (sys.argv[1], "hardened")
    _direct_ms, _through_ms = measure(float(_SECONDS), _PROTECTION)
    for _q in (50, 90, 99):
        print(_q, _spread(_direct_ms, _through_ms, _q))
