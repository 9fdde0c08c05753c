"""What the load sends to a target that is not the harness's own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.load.answer import StreamAnswer
from harness.load.bodies import templates
from harness.load.child import _with_key
from harness.load.spec import LoadSpec
from harness.model.plan import Prompt, Task
from harness.model.request import Outcome

SPEC = LoadSpec(
    base_url="http://127.0.0.1:20001/base",
    log_path="log",
    origin_monotonic_s=0.0,
    run_id="run",
    deadline_s=2.0,
    tasks=(Task("chat", False, (Prompt(({"role": "user", "content": "Hello"},), 8, "Hi."),)),),
    lanes={},
)


def sent(spec: LoadSpec) -> bytes:
    return templates(spec)[0][0].fill(b"run-u-1")


def test_the_host_is_the_targets_own_though_the_connection_goes_to_a_proxy() -> None:
    data = sent(replace(SPEC, host="llm.example:8000"))
    assert data.startswith(b"POST /base/v1/chat/completions HTTP/1.1\r\nHost: llm.example:8000\r\n")


def test_a_body_without_salt_is_whole_and_as_long_as_it_says() -> None:
    data = sent(replace(SPEC, salted=False, model="m"))
    head, _, body = data.partition(b"\r\n\r\n")
    assert b"cache_salt" in sent(SPEC) and b"cache_salt" not in data
    assert f"Content-Length: {len(body)}".encode() in head and b"X-Request-Id: run-u-1" in head
    assert body.startswith(b'{"model":"m","messages":')
    assert templates(replace(SPEC, salted=False))[0][0].answer == "Hi."


def test_the_key_comes_from_the_environment_and_is_in_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", " sk-secret\n")
    told = LoadSpec.from_json(replace(SPEC, api_key_env="A_KEY").to_json())
    assert "sk-secret" not in told.to_json()
    assert b"Authorization: Bearer sk-secret\r\n" in sent(_with_key(told))


@pytest.mark.parametrize(("ends_with_done", "outcome"), [(True, Outcome.TRUNCATED), (False, Outcome.OK)])
def test_a_stream_without_done_is_whole_only_where_the_server_never_sends_one(
    ends_with_done: bool, outcome: Outcome
) -> None:
    answer = StreamAnswer(ends_with_done=ends_with_done)
    answer.feed(b'data: {"choices":[{"delta":{"content":"Hi."},"finish_reason":null}]}\n\n', 1.0)
    answer.feed(b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n', 1.1)
    assert answer.judge("Hi.").outcome is outcome


def test_a_stream_without_its_finish_is_truncated_in_any_case() -> None:
    answer = StreamAnswer(ends_with_done=False)
    answer.feed(b'data: {"choices":[{"delta":{"content":"Hi."},"finish_reason":null}]}\n\n', 1.0)
    assert answer.judge("Hi.").outcome is Outcome.TRUNCATED
