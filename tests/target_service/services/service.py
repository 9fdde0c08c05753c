"""A service's application on a socket, before an engine whose answers a function gives."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from aiohttp.test_utils import TestClient, TestServer

from target_service.protocol.chat import Message, Sampling
from target_service.replica.app import make_app
from target_service.replica.engine import Engine
from target_service.replica.faults import Faults
from target_service.replica.settings import EngineSettings, HttpSettings
from target_service.replica.state import ReplicaState, Serving
from target_service.services.choice import splitter_of
from tests.target_service.replica.spelling import Counting, Spelling

Answers = Callable[[Sequence[Message]], str]


class Scripted(Counting):
    """Says letter by letter what `answers` gives for a conversation."""

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self._answers = answers
        self.asked: list[Sequence[Message]] = []

    def begin(self, messages: Sequence[Message], sampling: Sampling) -> Any:
        self.asked.append(messages)
        return Spelling(self, self._answers(messages), sampling.max_tokens)


class Service:
    """The application, its state, and a client."""

    def __init__(self, name: str, folder: Path, answers: Answers, queue_max: int) -> None:
        self.decoder = Scripted(answers)
        self.engine = Engine(self.decoder, EngineSettings(token_cost_s=0, queue_max=queue_max))
        self.state = ReplicaState("primary", "m", service=name, splitter=splitter_of(folder, name), folder=folder)
        self.state.serving = Serving(self.engine, cast(Any, None), True, "all is right", 0.1)
        self.client = TestClient(TestServer(make_app(self.state, HttpSettings(), Faults())))

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        async with self.client.post(path, json=body) as response:
            return response.status, await response.json()

    async def post_text(self, path: str, body: Any) -> tuple[int, str]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.client.post(path, data=io.BytesIO(data), headers={"Content-Type": "application/json"}) as got:
            return got.status, await got.text()


@asynccontextmanager
async def serving(name: str, folder: Path, answers: Answers, queue_max: int = 64) -> AsyncIterator[Service]:
    """A service that runs until the block ends."""
    service = Service(name, folder, answers, queue_max)
    service.engine.start()
    await service.client.start_server()
    try:
        yield service
    finally:
        await service.client.close()
        service.engine.stop()
