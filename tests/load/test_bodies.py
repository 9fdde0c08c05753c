"""The bytes of a request, and what a spec implies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.load.bodies import Template, echo_template, filled, templates
from harness.load.schedule import peak_in_flight
from harness.load.spec import LoadSpec
from harness.model.plan import Arrivals, Prompt, Task

from .conftest import make_spec


def template(**changes: Any) -> Template:
    spec = make_spec("http://127.0.0.1:80/api", Path("folder"), ["hello"], **changes)
    return templates(spec)[0][0]


def parts(request: bytes) -> tuple[str, dict[str, str], dict[str, Any]]:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert len(body) == int(headers["Content-Length"])
    return first, headers, json.loads(body)


def test_a_request_is_an_openai_chat_completion_with_its_id_in_head_and_salt() -> None:
    first, headers, body = parts(template(model="m", headers={"Authorization": "Bearer x"}).fill(b"r1-u-12"))
    assert first == "POST /api/v1/chat/completions HTTP/1.1"
    assert headers["X-Request-Id"] == "r1-u-12"
    assert headers["Cache-Control"] == "no-store"
    assert (headers["Host"], headers["Connection"]) == ("127.0.0.1:80", "keep-alive")
    assert headers["Authorization"] == "Bearer x"
    assert body == {
        "cache_salt": "r1-u-12",
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 8,
        "temperature": 0,
        "stream": False,
    }


def test_a_new_connection_for_each_request_is_announced() -> None:
    assert parts(template(connections="new").fill(b"x"))[1]["Connection"] == "close"


def test_a_padded_prompt_has_that_many_words_and_no_golden_answer() -> None:
    padded = template(prompt_words=20)
    content = parts(padded.fill(b"x"))[2]["messages"][0]["content"]
    assert len(content.split()) == 20
    assert content.startswith("hello ")
    assert padded.answer is None
    assert template().answer == "blue"


def test_only_the_last_user_message_is_padded() -> None:
    said = ({"role": "user", "content": "a"}, {"role": "user", "content": "b"}, {"role": "assistant", "content": "c"})
    assert [len(m["content"].split()) for m in filled(said, 5)] == [1, 5, 1]
    assert filled(said[2:], 5) == [said[2]]
    assert filled(({"role": "user", "content": "a b c"},), 2)[0]["content"] == "a b c"


def test_an_answer_cut_short_is_not_checked() -> None:
    assert template(output_tokens=7).answer is None
    assert template(output_tokens=8).answer == "blue"
    assert parts(template(output_tokens=7).fill(b"x"))[2]["max_tokens"] == 7


def test_the_control_lane_gets_echo() -> None:
    spec = make_spec("http://127.0.0.1:80", Path("folder"), ["hello"], echo_url="http://127.0.0.1:81")
    request = echo_template(spec).fill(b"r1-c-0")
    assert request.startswith(b"GET /echo HTTP/1.1\r\nHost: 127.0.0.1:81\r\n")
    assert request.endswith(b"X-Request-Id: r1-c-0\r\n\r\n")


def test_a_spec_survives_json() -> None:
    prompt = Prompt(({"role": "user", "content": "é"},), 8, None)
    tasks = (Task("chat", False, (prompt,)), Task("chat_stream", True, (prompt, prompt)))
    spec = LoadSpec("http://h:1", "log", 1.5, "r", 2.0, tasks, {"user": Arrivals([1, 2], [0, 1], [0, 1])}, model="m")
    assert LoadSpec.from_json(spec.to_json()) == spec


def test_the_pool_holds_twice_what_can_be_in_flight() -> None:
    lanes = {"user": Arrivals([0, 1_000_000, 1_500_000, 9_000_000], [0] * 4, [0] * 4)}
    assert peak_in_flight(make_spec("http://h:1", Path("f"), ["x"], lanes=lanes, deadline_s=1.6)) == 2 * 3 + 64
