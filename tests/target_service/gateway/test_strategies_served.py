"""Routing strategies over real sockets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.target_service.gateway.stub_replicas import Stack, gateway_before, pair

pytestmark = pytest.mark.process


async def replicas_of(stack: Stack, times: int) -> list[str | None]:
    return [name for _, name in await stack.served(times)]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("active-standby", {"primary": 8}),
        ("round-robin", {"primary": 4, "standby": 4}),
        ("weighted", {"primary": 6, "standby": 2}),
        ("least-connections", {"primary": 6, "standby": 2}),
    ],
)
async def test_each_strategy_spreads_idle_traffic_in_its_own_way(
    strategy: str, expected: dict[str, int], tmp_path: Path
) -> None:
    async with gateway_before(pair(), tmp_path, strategy=strategy, marks={"primary": {"weight": 3}}) as stack:
        assert Counter(await replicas_of(stack, 8)) == expected
        state = await stack.get("/gateway/state")
        assert state["active"] == ("primary" if strategy == "active-standby" else None)
        assert {
            name: each["routed_total"] for name, each in state["replicas"].items() if each["routed_total"]
        } == expected
        async with stack.client.get(stack.gateway.make_url("/ready")) as response:
            assert response.status == 200


async def test_least_connections_avoids_the_replica_with_a_long_request(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, strategy="least-connections") as stack:
        for stub in stack.stubs.values():
            stub.mode = "stream"
        async with stack.chat(stream=True) as long:
            await long.content.readuntil(b"\n\n")
            busy = long.headers["X-Served-By"]
            for stub in stack.stubs.values():
                stub.mode = "json"
            assert busy not in await replicas_of(stack, 4)
            stack.stubs[busy].release.set()
            await long.read()
        await stack.until(lambda s: s["replicas"][busy]["open_requests"] == 0)
        assert busy in await replicas_of(stack, 2)


async def test_a_backup_serves_only_while_no_other_is_admitted(tmp_path: Path) -> None:
    stubs = {"spare": pair()["primary"], **pair()}
    async with gateway_before(stubs, tmp_path, strategy="round-robin", marks={"spare": {"backup": True}}) as stack:
        assert Counter(await replicas_of(stack, 4)) == {"primary": 2, "standby": 2}
        for name in ("primary", "standby"):
            stubs[name].ready = False
        await stack.until(lambda s: [n for n, r in s["replicas"].items() if r["admitted"]] == ["spare"])
        assert await replicas_of(stack, 2) == ["spare", "spare"]
        stubs["standby"].ready = True
        await stack.until(lambda s: s["replicas"]["standby"]["admitted"])
        assert await replicas_of(stack, 2) == ["standby", "standby"]


async def test_a_backup_is_never_the_preferred_one_of_active_standby(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, marks={"primary": {"backup": True}}) as stack:
        assert await replicas_of(stack, 2) == ["standby", "standby"]
