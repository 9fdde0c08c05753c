from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.record.clock import SystemClock
from harness.stack.base import RunContext
from harness.stack.local.stack import LocalStack
from harness.stack.owned import children, owned_processes
from harness.stack.reference.settings import LocalSettings


@pytest.mark.model
@pytest.mark.process
def test_the_reference_target_serves_golden_answers_and_survives_a_kill(
    model_folder: Path, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    stack = LocalStack(model_folder, LocalSettings(replica_args={"standby": ("--disable-mmap",)}))
    stack.check()
    stack.up(RunContext("test-real-target", tmp_path, SystemClock().now()))
    try:
        eventually(lambda: stack.ready() is None, 120.0)
        prompt = stack.prompts()["chat"][0]
        body = {"messages": list(prompt.messages), "max_tokens": prompt.max_tokens}
        request = urllib.request.Request(
            f"{stack.base_url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert json.load(answer)["choices"][0]["message"]["content"] == prompt.answer
        assert "mapped file" in stack.held_weights("primary").source
        assert stack.held_weights("standby").source == "GET /weights"
        assert not any(stack.held_weights(name).altered for name in ("primary", "standby"))
        old = stack.process("primary")
        assert old is not None
        (engine,) = children(old.pid)
        assert str(engine) in stack.held_weights("primary").source
        assert engine in {process.pid for process in owned_processes("test-real-target")}
        assert stack.signal(old, "SIGKILL")
        eventually(lambda: stack.exit_report(old) == "terminated by SIGKILL")
        eventually(lambda: engine not in {process.pid for process in owned_processes("test-real-target")})
        eventually(lambda: stack.ready() is None, 120.0)
    finally:
        stack.down()
    assert not list(owned_processes("test-real-target"))
