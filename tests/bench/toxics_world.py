"""A proxy and what stands behind it, each a process of its own, for as long as a figure is measured."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class World:
    """`direct` and `proxied` are ports on loopback that lead to the same server."""

    direct: int
    proxied: int
    api: int
    pid: int  # of the proxy

    def call(self, method: str, path: str, body: object = None) -> object:
        with closing(http.client.HTTPConnection("127.0.0.1", self.api, timeout=30)) as connection:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text!r}")
        return json.loads(text) if text else None

    def toxic(self, kind: str, **attributes: int) -> None:
        self.call("POST", "/proxies/p/toxics", {"type": kind, "name": kind, "attributes": attributes})

    def remove(self, kind: str) -> None:
        self.call("DELETE", f"/proxies/p/toxics/{kind}")

    def memory_mb(self) -> float:
        """Resident, of the proxy."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024 / 1e6
        raise RuntimeError("no VmRSS")

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))


@contextmanager
def world(kind: str) -> Iterator[World]:
    """The proxy `p` before a server of `tests.bench.toxics_servers`."""
    command = [sys.executable, "-m", "tests.bench.toxics_servers", kind]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            direct = int(server.stdout.readline())
            with _proxy() as (pid, api):
                one = World(direct, 0, api, pid)
                body = {"name": "p", "listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{direct}"}
                made = one.call("POST", "/proxies", body)
                assert isinstance(made, dict)
                yield World(direct, int(made["listen"].rpartition(":")[2]), api, pid)
        finally:
            server.kill()


@contextmanager
def _proxy() -> Iterator[tuple[int, int]]:
    command = [sys.executable, "-m", "harness.toxics", "-port", "0", "-seed", "1"]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as proxy:
        try:
            assert proxy.stdout is not None
            yield proxy.pid, int(json.loads(proxy.stdout.readline())["port"])
        finally:
            proxy.kill()


def connected(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
