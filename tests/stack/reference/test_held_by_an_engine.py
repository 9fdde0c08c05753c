"""The proof looks into the process that holds the model: the server itself, or an engine process that it started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.record.clock import SystemClock
from harness.stack.base import TargetProcess, Weights
from harness.stack.owned import children, identify
from harness.stack.reference.held_weights import Replica, held_weights

pytestmark = pytest.mark.process

# A server that maps nothing, and starts a child that maps the file.
SERVER = """
import subprocess, sys
engine = subprocess.Popen([sys.executable, "-c", sys.argv[2], sys.argv[1]], stdin=subprocess.PIPE)
sys.stdin.read()
engine.kill()
engine.wait()
"""
ENGINE = """
import mmap, sys
file = open(sys.argv[1], "rb")
view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
print("mapped", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def served(tmp_path: Path) -> Path:
    for name in ("pristine", "copy"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(bytes(range(256)) * 64)
    return tmp_path / "copy" / "model.safetensors"


@pytest.fixture
def server(served: Path) -> Iterator[TargetProcess]:
    command = [sys.executable, "-c", SERVER, str(served), ENGINE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"mapped\n"
        identity = identify(process.pid)
        assert identity is not None
        yield TargetProcess("primary", identity.pid, identity.started)


def test_bytes_that_an_engine_process_serves_are_compared(server: TargetProcess, served: Path) -> None:
    (engine,) = children(server.pid)
    replica = Replica("primary", "http://127.0.0.1:1", served.parents[1] / "pristine")
    source = f"memory of process {engine}, mapped file"
    assert held_weights(replica, server, None, SystemClock()) == Weights(False, source)
    with served.open("r+b") as file:
        file.write(b"\xff")
    assert held_weights(replica, server, None, SystemClock()) == Weights(True, source)


def test_a_process_without_children_has_none() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as lonely:
        assert children(lonely.pid) == []
