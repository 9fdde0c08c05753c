"""What gateway and replica write about requests, and what they must never write."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from target_service.observability.settings import ObservabilitySettings
from tests.target_service.fuzz.served import GOOD, Served, exchange, request_bytes

pytestmark = pytest.mark.process

CHAT = "/v1/chat/completions"
SECRET = "s3cr3t"
JSON = b"Content-Type: application/json"
Start = Callable[..., Served]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[Served] = []

    def begin(**changes: Any) -> Served:
        made.append(Served(ObservabilitySettings(log_dir=tmp_path / "logs", **changes)))
        made[-1].until_admitted()
        return made[-1]

    yield begin
    for served in made:
        served.close()


@pytest.fixture
def stderr() -> Iterator[io.StringIO]:
    """What the process would write to stderr, at every level."""
    root, text = logging.getLogger(), io.StringIO()
    kept, level = root.handlers[:], root.level
    root.handlers[:] = [logging.StreamHandler(text)]
    root.setLevel(logging.DEBUG)
    yield text
    root.handlers[:] = kept
    root.setLevel(level)


def records(folder: Path, program: str, log: str) -> list[dict[str, Any]]:
    path = folder / "logs" / f"{program}.{log}.log"
    return [json.loads(text) for text in path.read_text().splitlines()] if path.exists() else []


def ask(port: int, body: dict[str, Any], *headers: bytes) -> int:
    reply = exchange(port, request_bytes("POST", CHAT, json.dumps(body).encode(), JSON, *headers))
    assert reply is not None
    return reply.status


def test_one_request_is_one_access_line_at_each_with_the_same_id_and_what_it_cost(start: Start, tmp_path: Path) -> None:
    served = start()
    assert ask(served.gateway, GOOD, b"X-Request-Id: r1") == 200
    assert ask(served.gateway, GOOD | {"temperature": 9}, b"X-Request-Id: r2") == 400
    served.close()
    (mine,) = [each for each in records(tmp_path, "replica-primary", "access") if each["request_id"] == "r1"]
    assert (mine["status"], mine["outcome"], mine["replica"], mine["probe"]) == (200, "ok", "primary", False)
    assert (mine["prompt_tokens"], mine["completion_tokens"]) == (5, 6)
    assert 0 <= mine["queue_s"] <= mine["ttft_s"] <= mine["total_s"] < 10
    (refused,) = [each for each in records(tmp_path, "replica-primary", "access") if each["request_id"] == "r2"]
    assert (refused["status"], refused["outcome"], refused["reason"]) == (400, "400", "400")
    theirs = [each for each in records(tmp_path, "gateway", "access") if each["request_id"] in ("r1", "r2")]
    assert [(each["status"], each["replica"]) for each in theirs] == [(200, "primary"), (400, "primary")]
    (cost,) = [each for each in records(tmp_path, "replica-primary", "performance") if each["request_id"] == "r1"]
    assert cost["slow"] is False
    assert cost["tokens_per_s"] == pytest.approx(6 / cost["total_s"], rel=0.2)


def test_watchers_leave_no_lines_unless_they_are_told_no(start: Start, tmp_path: Path) -> None:
    served = start()
    for path in ("/health", "/ready", "/metrics", "/nothing"):
        exchange(served.replica, request_bytes("GET", path, b""), "GET")
    served.close()
    paths = {each["path"] for each in records(tmp_path, "replica-primary", "access")}
    # The other is the gateway's golden question.
    assert paths <= {"/nothing", CHAT}
    assert "/nothing" in paths


def test_a_slow_request_is_reported_and_a_fast_one_is_not(start: Start, tmp_path: Path, stderr: io.StringIO) -> None:
    served = start(slow_request_s=0.2)
    for logs in served.logs.values():
        logs.attach(logging.getLogger())
    assert ask(served.replica, GOOD, b"X-Request-Id: fast") == 200
    served.decoder.gate.clear()
    timer = served._loop.call_soon_threadsafe(served._loop.call_later, 0.4, served.decoder.gate.set)
    assert ask(served.replica, GOOD, b"X-Request-Id: slow-one") == 200
    del timer
    served.close()
    slow = {each["request_id"]: each["slow"] for each in records(tmp_path, "replica-primary", "performance")}
    assert (slow["fast"], slow["slow-one"]) == (False, True)
    assert "slow: request slow-one took" in stderr.getvalue()
    assert any("slow-one" in each["message"] for each in records(tmp_path, "replica-primary", "error"))


def test_a_request_that_fails_inside_has_its_stack_in_the_error_log(
    start: Start, tmp_path: Path, stderr: io.StringIO
) -> None:
    served = start()
    served.logs["replica-primary"].attach(logging.getLogger())
    served.complaints.setLevel(logging.CRITICAL)
    assert ask(served.replica, GOOD | {"messages": [{"role": "user", "content": "boom"}]}) == 500
    served.close()
    (error,) = records(tmp_path, "replica-primary", "error")
    assert error["level"] == "error"
    assert 'raise ValueError("boom")' in error["stack"]


@pytest.mark.parametrize("prompts", [False, True])
def test_questions_and_answers_are_written_only_if_wanted(start: Start, tmp_path: Path, *, prompts: bool) -> None:
    served = start(log_prompts=prompts)
    assert ask(served.replica, GOOD, b"X-Request-Id: r1") == 200
    served.close()
    (mine,) = [each for each in records(tmp_path, "replica-primary", "access") if each["request_id"] == "r1"]
    assert (mine.get("answer"), "right" in str(mine.get("question"))) == (("right", True) if prompts else (None, False))
    everything = "".join(path.read_text() for path in (tmp_path / "logs").iterdir())
    assert ("right" in everything) is prompts


def test_no_secret_and_no_prompt_is_in_any_output(start: Start, tmp_path: Path, stderr: io.StringIO) -> None:
    served = start(slow_request_s=0.0001)
    for logs in served.logs.values():
        logs.attach(logging.getLogger())
    served.complaints.setLevel(logging.CRITICAL)
    names = [b"Authorization: Bearer ", b"Cookie: session=", b"X-Fault-Token: ", b"Proxy-Authorization: Basic ",
             b"X-Api-Key: ", b"X-Request-Id: bad id "]  # fmt: skip
    secrets = [name + SECRET.encode() for name in names]
    broken = [b"Authorization: Bearer " + SECRET.encode() + b"\x00\x01", b"Cook ie: " + SECRET.encode()]
    bodies = [json.dumps(GOOD | {"messages": [{"role": "user", "content": SECRET}]}).encode(), b"{" + SECRET.encode(),
              json.dumps(GOOD | {"messages": [{"role": SECRET, "content": SECRET}]}).encode()]  # fmt: skip
    for port in (served.replica, served.gateway):
        for path in (CHAT, f"{CHAT}?key={SECRET}", "/v1/models", "/health", "/faults", "/faults/hang", "/nothing"):
            for method in ("GET", "POST", "DELETE"):
                for body in bodies:
                    exchange(port, request_bytes(method, path, body, JSON, *secrets), method, 2)
        for header in broken:
            exchange(port, request_bytes("POST", CHAT, bodies[0], JSON, *secrets, header), "POST", 2)
        exchange(port, f"{SECRET} / HTTP/1.1\r\n\r\n".encode(), "GET", 1)
    token = b"X-Fault-Token: sesame"
    fault = exchange(served.replica, request_bytes("POST", "/faults/leak_slots", b"{}", token))
    assert fault is not None and fault.status == 200
    exchange(served.replica, request_bytes("DELETE", "/faults/leak_slots", b"", token), "DELETE")
    told = [exchange(port, request_bytes("GET", path, b""), "GET")
            for port in (served.replica, served.gateway)
            for path in ("/metrics", "/ready", "/counters", "/gateway/state", "/gateway/events")]  # fmt: skip
    served.close()
    written = {path.name: path.read_text() for path in (tmp_path / "logs").iterdir()}
    written |= {"stderr": stderr.getvalue(), "told": "".join(reply.body.decode() for reply in told if reply)}
    assert {"stderr", "gateway.access.log", "replica-primary.access.log", "replica-primary.error.log"} <= set(written)
    assert "a request that is no HTTP was refused" in written["stderr"]
    for name, text in written.items():
        assert SECRET not in text, f"{name}: {text[text.find(SECRET) - 300 :][:400]}"
        assert "sesame" not in text, name
