"""Options that differ between replicas, or need a counterpart, act on real processes: all of them in one start."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from harness.model.target import TargetOptions
from harness.record.clock import SystemClock
from harness.stack.base import RunContext
from harness.stack.keyed import authorization
from harness.stack.links import Ask
from harness.stack.local.stack import LocalStack
from harness.stack.owned import owned_processes

pytestmark = [pytest.mark.process, pytest.mark.model]

RUN = "test-options-of-one"
PRIMARY = 3  # of four requests
TARGET = TargetOptions(
    gateway={"strategy": "weighted", "api_keys": "on"},
    replica={"qps_limit": 200},
    each={"primary": {"weight": PRIMARY}, "standby": {"register": "on", "follow": "primary", "qps_limit": 1}},
)


@pytest.fixture
def stack(model_folder: Path, tmp_path: Path, eventually: Callable[..., Any]) -> Iterator[LocalStack]:
    one = LocalStack(model_folder)
    one.check()
    one.up(RunContext(RUN, tmp_path, SystemClock().now(), target=TARGET))
    try:
        eventually(lambda: one.ready() is None, 120.0)
        yield one
    finally:
        one.down()
    assert not list(owned_processes(RUN))


def page(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=5) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def test_each_replica_has_its_own_options_and_users_need_the_runs_key(
    stack: LocalStack, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    prompt = stack.prompts()["sentiment"][0]
    body = json.dumps({"messages": list(prompt.messages), "max_tokens": prompt.max_tokens}).encode()

    def ask(key: str | None) -> str:
        """Who served a user with that key."""
        headers = {"Content-Type": "application/json", **authorization(key)}
        request = urllib.request.Request(f"{stack.base_url}/v1/chat/completions", body, headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert json.load(answer)["choices"][0]["message"]["content"] == prompt.answer
            return str(answer.headers["X-Served-By"])

    key = stack.user_key()
    assert key is not None
    for wrong in (None, "x" * 64):
        with pytest.raises(HTTPError) as refused:
            ask(wrong)
        refused.value.close()
        assert refused.value.code == 401

    assert stack._ports is not None
    standby, gateway = stack._ports.url("standby"), stack._ports.url("gateway")
    eventually(lambda: page(f"{standby}/config")["config"]["http.qps_limit"] == 200, 10.0)
    assert "config_differs" in page(f"{standby}/ready")  # it follows, and says in what it cannot

    known = page(f"{gateway}/gateway/state")["replicas"]
    assert known["primary"]["lease_left_s"] is None  # on the command line
    assert known["standby"]["lease_left_s"] > 0
    assert known["standby"]["url"] == stack._ports.through("standby")

    served = Counter(ask(key) for _ in range(40))
    assert abs(served["primary"] - 40 * PRIMARY / 4) <= 4, served  # a beat may be missed on a busy host

    look = stack.network.look("gateway", Ask(stream=True), past=False)  # as proofs of faults look
    seen = eventually(look.seen, 10.0)
    assert (seen.status, seen.answered) == (200, True)
    files = [path for path in tmp_path.rglob("*") if path.is_file() and "private-gateway" not in path.parts]
    assert not [path for path in files if key.encode() in path.read_bytes()]
