"""A replica's process with the real model, for what is measured of it."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]
READY_WITHIN_S = 180.0
LOOK_S = 0.005


def model() -> Path:
    """The model folder that `make model` builds, or HARNESS_TEST_MODEL."""
    return Path(os.environ.get("HARNESS_TEST_MODEL") or ROOT / ".model").resolve()


class BenchReplica:
    """Started at once; a context that ends it."""

    def __init__(self, *options: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        command = [sys.executable, "-m", "target_service.replica", "--model", str(model()), "--port", str(self.port)]
        self.process = subprocess.Popen([*command, *options], cwd=ROOT, stderr=subprocess.DEVNULL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait_ready(self) -> None:
        """Until /ready is 200; raises RuntimeError when it ends or takes too long."""
        give_up_s = time.monotonic() + READY_WITHIN_S
        while self.get("/ready")[0] != 200:
            if self.process.poll() is not None or time.monotonic() > give_up_s:
                raise RuntimeError("the replica does not become ready")
            time.sleep(LOOK_S)

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body; status 0 when nobody listens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()

    def pids(self) -> list[int]:
        """Server and engine."""
        version: dict[str, Any] = json.loads(self.get("/version")[1])
        return sorted({self.process.pid, int(version["engine_pid"])})
