"""The trained reasoning model, through the service that serves it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from target_service.data.sums import SYSTEM, Sum, all_sums
from tests.target_service.services.folder import served

pytestmark = pytest.mark.model


def body_of(task: Sum, **more: Any) -> dict[str, Any]:
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": task.question}]
    return {"messages": messages, "max_tokens": 96, **more}


async def asked(client: TestClient[Any, Any], task: Sum) -> dict[str, str]:
    async with client.post("/v1/chat/completions", json=body_of(task)) as response:
        message: dict[str, str] = (await response.json())["choices"][0]["message"]
        return message


async def test_of_held_out_sums_nearly_all_are_right_and_thought_through(autoglm_folder: Path) -> None:
    held_out = [task for task in all_sums() if task.held_out]
    async with served(autoglm_folder) as (client, state):
        assert (state.service, state.serving is not None and state.serving.verified) == ("autoglm", True)
        messages = await asyncio.gather(*(asked(client, task) for task in held_out))
    pairs = list(zip(held_out, messages, strict=True))
    right = sum(message["content"] == task.answer for task, message in pairs)
    thought = sum(message.get("reasoning_content") == task.thought for task, message in pairs)
    print(f"{right} answers and {thought} thoughts of {len(held_out)} are right")
    assert right >= 0.95 * len(held_out) and thought >= 0.9 * len(held_out)


async def test_the_thought_is_streamed_before_the_answer(autoglm_folder: Path) -> None:
    task = Sum("plus", 7, 5)
    body = body_of(task, stream=True)
    async with served(autoglm_folder) as (client, _), client.post("/v1/chat/completions", json=body) as response:
        text = await response.text()
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    deltas = [delta for event in events for delta in event["choices"][0]["delta"].items()]
    keys = [key for key, _ in deltas if key != "role"]
    assert keys[1:] == sorted(keys[1:], reverse=True) and keys.count("reasoning_content") > 10
    assert "".join(text for key, text in deltas if key == "reasoning_content") == task.thought
    assert "".join(text for key, text in deltas if key == "content") == task.answer
