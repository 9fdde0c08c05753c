"""The replica's HTTP surface on a real socket."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from target_service.replica.faults import StallStream
from target_service.replica.health import EngineHealth
from target_service.replica.settings import HttpSettings
from tests.target_service.replica.replica import Replica

pytestmark = pytest.mark.process


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


async def test_too_much_memory_is_a_503_with_a_time_to_come_back_and_not_ready(replica: Replica) -> None:
    replica.state.memory_problem = "memory: 120% of the soft limit is used"
    status, text, headers = await replica.ask("hi")
    assert (status, "120% of the soft limit" in text, headers["Retry-After"]) == (503, True, "1")
    assert "X-Not-Ready" not in headers, "it comes and goes, and nobody should be isolated for a moment of it"
    assert (await replica.get("/ready"))[0] == 503
    assert (await replica.get("/health"))[0] == 200
    replica.state.memory_problem = None
    assert (await replica.ask("hi"))[0] == 200


async def test_a_replica_that_is_ready_too_early_still_refuses(replica: Replica) -> None:
    replica.state.serving = None
    assert (await replica.get("/ready"))[0] == 503
    replica.state.early_ready = True
    assert (await replica.get("/ready"))[0] == 200
    status, _, headers = await replica.ask("hi")
    assert (status, headers["X-Not-Ready"]) == (503, "1")


async def tokens_for_two(settings: HttpSettings, first: dict[str, Any], second: dict[str, Any]) -> tuple[int, str]:
    """How many tokens two requests cost together, and the second one's text."""
    replica = Replica(settings)
    await replica.start()
    try:
        await replica.ask("aa", **first)
        status, text, _ = await replica.ask("aa", **second)
        assert status == 200
        return replica.engine.tokens_total, text
    finally:
        await replica.close()


async def test_a_cache_answers_the_second_request_without_the_engine() -> None:
    assert (await tokens_for_two(HttpSettings(), {}, {}))[0] == 6
    tokens, text = await tokens_for_two(HttpSettings(cache_size=9), {}, {"stream": True})
    assert tokens == 3
    assert '"content":"aa"' in text


async def test_a_prompt_only_key_gives_one_users_answer_to_another() -> None:
    short, long = {"max_tokens": 1}, {"max_tokens": 9}
    assert '"content": "aa"' in (await tokens_for_two(HttpSettings(cache_size=9), short, long))[1]
    mixed = await tokens_for_two(HttpSettings(cache_size=9, cache_key="prompt-only"), short, long)
    assert '"content": "a"' in mixed[1]


async def test_a_probe_never_gets_a_kept_answer() -> None:
    replica = Replica(HttpSettings(cache_size=9))
    await replica.start()
    body = {"messages": [{"role": "user", "content": "aa"}]}
    for _ in range(3):
        async with replica.client.post("/v1/chat/completions", json=body, headers={"X-Probe": "golden"}) as response:
            assert response.status == 200
    assert replica.engine.tokens_total == 9
    await replica.close()


@pytest.mark.parametrize("wild", [{"max_tokens": -5}, {"temperature": 1000}, {"top_p": 7}, {"n": 3}])
async def test_without_validation_wild_parameters_reach_the_engine(wild: dict[str, Any]) -> None:
    for validate, status in ((True, 400), (False, 200)):
        replica = Replica(HttpSettings(validate=validate))
        await replica.start()
        assert (await replica.ask("a", **wild))[0] == status
        assert (replica.engine.tokens_total > 0) is not validate
        await replica.close()


async def test_requests_beyond_the_rate_are_429_with_a_time_to_come_back_and_probes_pass() -> None:
    replica = Replica(HttpSettings(qps_limit=0.01))
    await replica.start()
    assert (await replica.ask("a"))[0] == 200
    status, text, headers = await replica.ask("a")
    assert (status, "rate_limited" in text) == (429, True)
    assert 90 < int(headers["Retry-After"]) <= 100
    body = {"messages": [{"role": "user", "content": "a"}]}
    async with replica.client.post("/v1/chat/completions", json=body, headers={"X-Probe": "golden"}) as response:
        assert response.status == 200
    await replica.close()


@pytest.mark.parametrize("heartbeat_s", [0.02, 0.0])
async def test_a_silent_stream_carries_comments_only_with_a_heartbeat(heartbeat_s: float) -> None:
    replica = Replica(HttpSettings(sse_heartbeat_s=heartbeat_s))
    await replica.start()
    replica.faults.start("stall_stream", StallStream(1))
    asking = asyncio.ensure_future(replica.ask("ab", stream=True))
    await asyncio.wait({asking}, timeout=0.3)
    replica.faults.clear("stall_stream")
    _, text, _ = await asking
    assert (text.count(": keep-alive\n\n") >= 2) is (heartbeat_s > 0)
    assert text.endswith("data: [DONE]\n\n")
    await replica.close()


@pytest.mark.parametrize("error_event", [True, False])
async def test_a_stream_that_fails_says_so_or_just_ends(*, error_event: bool) -> None:
    replica = Replica(HttpSettings(stream_error_event=error_event))
    await replica.start()
    replica.decoder.fails_after = 2
    status, text, _ = await replica.ask("abcdef", stream=True)
    assert (status, '"content":"b"' in text) == (200, True)
    assert ("engine_error" in text, "[DONE]" in text) == (error_event, error_event)
    await replica.close()
