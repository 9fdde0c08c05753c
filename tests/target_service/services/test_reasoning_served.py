"""AutoGLM: thought and answer apart, whole and as a stream, on a real socket."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.target_service.services.service import serving

pytestmark = pytest.mark.process

SAID = "<think>one, two</think>\nTwo."
BODY = {"messages": [{"role": "user", "content": "count"}]}


def deltas(text: str) -> list[dict[str, str]]:
    events = [line[6:] for line in text.splitlines() if line.startswith("data: ") and line != "data: [DONE]"]
    return [json.loads(event)["choices"][0]["delta"] for event in events]


async def test_a_whole_answer_has_its_thought_beside_it(tmp_path: Path) -> None:
    async with serving("autoglm", tmp_path, lambda _: SAID) as service:
        _, body = await service.post("/v1/chat/completions", BODY)
    message = body["choices"][0]["message"]
    assert message == {"role": "assistant", "content": "Two.", "reasoning_content": "one, two"}


async def test_a_stream_sends_the_thought_first_and_no_tag_ever(tmp_path: Path) -> None:
    async with serving("autoglm", tmp_path, lambda _: SAID) as service:
        status, text = await service.post_text("/v1/chat/completions", {**BODY, "stream": True})
    assert status == 200 and text.endswith("data: [DONE]\n\n")
    sent = [next(iter(delta.items())) for delta in deltas(text)[1:] if delta]
    assert [key for key, _ in sent] == ["reasoning_content"] * 8 + ["content"] * 4
    assert "".join(text for _, text in sent) == "one, twoTwo."


async def test_a_stream_that_is_cut_short_sends_what_was_held_back(tmp_path: Path) -> None:
    async with serving("autoglm", tmp_path, lambda _: "<think>a</thi") as service:
        _, text = await service.post_text("/v1/chat/completions", {**BODY, "stream": True})
    assert "".join(delta.get("reasoning_content", "") for delta in deltas(text)) == "a</thi"


async def test_the_other_services_send_the_text_as_it_is(tmp_path: Path) -> None:
    async with serving("all-in-one", tmp_path, lambda _: SAID) as service:
        _, body = await service.post("/v1/chat/completions", BODY)
    assert body["choices"][0]["message"] == {"role": "assistant", "content": SAID}
