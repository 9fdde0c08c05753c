"""Replicas that register with a gateway and follow one another: three processes, and no model."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def program(name: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-m", f"target_service.{name}", *options], cwd=ROOT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()


def get(port: int, path: str) -> Any:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)
    except OSError:
        return {}


def until(look: Callable[[], Any], right: Callable[[Any], bool]) -> Any:
    give_up_s = time.monotonic() + 30
    while not right(seen := look()):
        assert time.monotonic() < give_up_s, seen
        time.sleep(0.05)
    return seen


def test_replicas_come_and_go_by_themselves_and_a_standby_follows_the_primary(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("register-token-of-many\n")
    gateway, primary, standby = free_port(), free_port(), free_port()
    registers = ["--model", str(tmp_path), "--slow-load-s", "60", "--register-with", f"http://127.0.0.1:{gateway}",
                 "--register-token-file", str(token), "--lease-s", "2"]  # fmt: skip

    def replicas() -> Any:
        return get(gateway, "/gateway/state").get("replicas", {})

    with ExitStack() as stack:
        stack.enter_context(program("gateway", "--port", str(gateway), "--register-token-file", str(token)))
        one = stack.enter_context(program("replica", *registers, "--port", str(primary), "--qps-limit", "7"))
        follow = ["--follow", f"http://127.0.0.1:{primary}", "--follow-every-s", "0.5", "--max-queue", "3"]
        two = stack.enter_context(program("replica", *registers, "--port", str(standby), "--name", "standby", *follow))
        seen = until(replicas, lambda r: set(r) == {"primary", "standby"})
        assert seen["primary"]["url"] == f"http://127.0.0.1:{primary}"
        assert not seen["primary"]["admitted"]
        told = until(lambda: get(standby, "/config"), lambda c: c.get("config_differs") == ["engine.queue_max"])
        assert told["config"]["http.qps_limit"] == 7.0
        assert get(standby, "/ready")["config_differs"] == ["engine.queue_max"]
        one.terminate()
        assert one.wait(30) == 0
        # It said goodbye: no lease had to run out, and the standby keeps what it was told.
        until(replicas, lambda r: set(r) == {"standby"})
        assert get(standby, "/config")["config"]["http.qps_limit"] == 7.0
        two.kill()
        two.wait(30)
        until(replicas, lambda r: not r)
        kinds = [event["kind"] for event in get(gateway, "/gateway/events")["events"] if event["replica"] == "standby"]
        assert (kinds[0], kinds[-1]) == ("registered", "removed")
