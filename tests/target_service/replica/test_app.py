"""The replica's HTTP surface on a real socket, before an engine without a network."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from aiohttp.test_utils import TestClient, TestServer

from target_service.replica.app import make_app
from target_service.replica.engine import Engine
from target_service.replica.health import EngineHealth
from target_service.replica.state import ReplicaState, Serving
from tests.target_service.replica.spelling import FAST, Counting

pytestmark = pytest.mark.process


class Replica:
    """The application, its state, and a client."""

    def __init__(self) -> None:
        self.decoder = Counting()
        self.engine = Engine(self.decoder, FAST)
        self.engine.start()
        self.state = ReplicaState("primary", "m")
        self.state.serving = Serving(self.engine, cast(Any, None), True, "all is right", 0.1)

    async def start(self) -> None:
        self.client = TestClient(TestServer(make_app(self.state)))
        await self.client.start_server()

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        async with self.client.get(path) as response:
            return response.status, await response.json()

    async def close(self) -> None:
        self.decoder.gate.set()
        await self.client.close()
        self.engine.stop()


@pytest.fixture
async def replica() -> AsyncIterator[Replica]:
    replica = Replica()
    await replica.start()
    yield replica
    await replica.close()


@pytest.mark.parametrize("deep", [True, False])
async def test_only_deep_health_sees_that_the_engine_hangs(replica: Replica, *, deep: bool) -> None:
    health = EngineHealth(stall_s=2.0)
    replica.state.health = health if deep else None
    assert (await replica.get("/health"))[0] == 200
    assert health.begin(time.monotonic() - 10)
    expected = 503 if deep else 200
    assert (await replica.get("/health"))[0] == expected
    status, body = await replica.get("/ready")
    assert (status, body["ready"]) == (expected, not deep)
    assert body["reason"].startswith("engine: no progress for 10" if deep else "all is right")


async def test_a_replica_that_still_loads_is_alive_and_not_ready_however_deep_one_looks(replica: Replica) -> None:
    replica.state.health = EngineHealth(stall_s=2.0)
    replica.state.serving = None
    assert (await replica.get("/health"))[0] == 200
    assert (await replica.get("/ready"))[1]["reason"] == "the model is loading"
