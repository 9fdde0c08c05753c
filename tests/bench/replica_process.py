"""What the replica's figures start: a replica with a set of mechanisms, and the model in a bare process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import psutil

from tests.bench.replica_client import Question, question

ROOT = Path(__file__).parents[2]
READY_WITHIN_S = 120
TOKENS = 16


def model() -> Path:
    return Path(os.environ.get("HARNESS_TEST_MODEL") or ROOT / ".model").resolve()


class PlainLoop:
    """The model, asked one request after the other by nobody else."""

    def __init__(self, stdin: IO[str], stdout: IO[str]) -> None:
        self._stdin, self._stdout = stdin, stdout
        self.questions: list[Question] = [question(one["body"], one["answer"]) for one in self._read()]

    def _read(self) -> Any:
        return json.loads(self._stdout.readline())

    def requests_per_s(self, seconds: float, batch: int = 1) -> float:
        self._stdin.write(f"{batch} {seconds}\n")
        self._stdin.flush()
        done = self._read()
        return float(done["requests"] / done["seconds"])


@contextmanager
def plain_loop() -> Iterator[PlainLoop]:
    """A process that has the model loaded, and waits."""
    command = [sys.executable, "-m", "tests.bench.plain_loop", str(model()), str(TOKENS)]
    child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None
    assert child.stdout is not None
    with child.stdin as stdin, child.stdout as stdout:
        try:
            yield PlainLoop(stdin, stdout)
        finally:
            stdin.close()
            child.wait(10)


class ReplicaProcess:
    """A replica that is ready, with all of its processes."""

    def __init__(self, process: psutil.Process, port: int) -> None:
        self._process = process
        self.port = port

    def cpu_s(self) -> dict[str, float]:
        """CPU time of each of its processes so far."""
        family = [self._process, *self._process.children(recursive=True)]
        return {str(one.pid): sum(one.cpu_times()[:2]) for one in family}


@contextmanager
def replica(protection: str, *options: str) -> Iterator[ReplicaProcess]:
    """Start it, wait until it is ready, and end it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    named = ["--model", str(model()), "--port", str(port), "--protection", protection]
    command = [sys.executable, "-m", "target_service.replica", *named, *options]
    child = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        _wait_ready(child, port)
        yield ReplicaProcess(psutil.Process(child.pid), port)
    finally:
        child.terminate()
        child.wait(30)


def _wait_ready(child: subprocess.Popen[bytes], port: int) -> None:
    give_up_s = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < give_up_s:
        if child.poll() is not None:
            raise RuntimeError(f"the replica ended with exit code {child.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError("the replica is not ready")
