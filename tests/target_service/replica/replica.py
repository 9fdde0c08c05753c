"""The replica's application on a socket, before an engine without a network."""

from __future__ import annotations

from typing import Any, cast

from aiohttp.test_utils import TestClient, TestServer

from target_service.replica.app import make_app
from target_service.replica.engine import Engine
from target_service.replica.faults import KINDS, Faults
from target_service.replica.settings import HttpSettings
from target_service.replica.state import ReplicaState, Serving
from tests.target_service.replica.spelling import FAST, Counting

TOKEN = {"X-Fault-Token": "sesame"}


class Replica:
    """The application, its state, and a client."""

    def __init__(self, settings: HttpSettings | None = None) -> None:
        self.settings = settings or HttpSettings(faults_token="sesame")
        self.faults = Faults()
        self.decoder = Counting()
        self.engine = Engine(self.decoder, FAST, disturbance=self.faults)
        self.engine.start()
        self.state = ReplicaState("primary", "m")
        self.state.serving = Serving(self.engine, cast(Any, None), True, "all is right", 0.1)

    async def start(self) -> None:
        self.client = TestClient(TestServer(make_app(self.state, self.settings, self.faults)))
        await self.client.start_server()

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        async with self.client.get(path) as response:
            return response.status, await response.json()

    async def send(self, method: str, path: str, body: Any = None, token: Any = TOKEN) -> tuple[int, Any]:
        async with self.client.request(method, path, json=body, headers=token) as response:
            return response.status, await response.json()

    async def ask(self, text: str, **more: Any) -> tuple[int, str, dict[str, str]]:
        body = {"messages": [{"role": "user", "content": text}], **more}
        async with self.client.post("/v1/chat/completions", json=body) as response:
            return response.status, await response.text(), dict(response.headers)

    async def close(self) -> None:
        for name in KINDS:
            self.faults.clear(name)
        self.decoder.gate.set()
        await self.client.close()
        self.engine.stop()
