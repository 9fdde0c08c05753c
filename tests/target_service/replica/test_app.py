"""The replica's HTTP surface on a real socket."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from target_service.replica.health import EngineHealth
from tests.target_service.replica.replica import Replica

pytestmark = pytest.mark.process


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


async def test_a_replica_that_is_ready_too_early_still_refuses(replica: Replica) -> None:
    replica.state.serving = None
    assert (await replica.get("/ready"))[0] == 503
    replica.state.early_ready = True
    assert (await replica.get("/ready"))[0] == 200
    assert (await replica.ask("hi"))[0] == 503
