"""Mechanisms that need a whole replica: a process of its own with the real model."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import aiohttp
import pytest

from tests.target_service.replica.test_replica import Replica, ask, copied, get, golden, ready, text_of, until

pytestmark = pytest.mark.model

TOKEN = {"X-Fault-Token": "sesame"}
ENDLESS = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 480, "ignore_eos": True}


async def post_fault(replica: Replica, name: str, body: dict[str, object] | None = None) -> None:
    async with (
        aiohttp.ClientSession() as client,
        client.post(replica.url(f"/faults/{name}"), json=body or {}, headers=TOKEN) as response,
    ):
        assert response.status == 200


@pytest.mark.parametrize("process", ["child", "same"])
async def test_a_hung_engine_is_seen_by_deep_health_and_ended_by_the_watchdog(model_folder: Path, process: str) -> None:
    deep = ("--health-mode", "deep", "--health-probe-s", "0.1", "--health-stall-s", "0.3")
    where = ("--engine-process", process)
    replica = Replica(model_folder, "--watchdog-s", "3", "--faults-token", "sesame", *deep, *where)
    try:
        await ready(replica)
        busy = [asyncio.create_task(ask(replica, ENDLESS)) for _ in range(20)]
        end_s = time.monotonic() + 1
        while time.monotonic() < end_s:
            assert (await get(replica, "/health"))[0] == 200, "busy is not hung"
        await post_fault(replica, "hang")

        async def unhealthy() -> bool:
            return (await get(replica, "/health"))[0] == 503 and (await get(replica, "/ready"))[0] == 503

        await until(unhealthy, within_s=2.5)
        await asyncio.gather(*busy, return_exceptions=True)
    finally:
        code, log = replica.end()
    assert code == 70
    assert "made no step" in log
    assert "before_round" in log


def break_bytes(path: Path, pattern: bytes) -> None:
    """Overwrite the end of a file in place."""
    with path.open("r+b") as file:
        file.seek(-len(pattern), 2)
        file.write(pattern)


@pytest.mark.parametrize("mode", ["periodic", "start"])
async def test_only_periodic_verification_notices_weights_that_change_under_a_running_replica(
    model_folder: Path, tmp_path: Path, mode: str
) -> None:
    folder = copied(model_folder, tmp_path / "model")
    original = (folder / "model.safetensors").read_bytes()
    options = ("--verify-weights", mode, "--verify-every-s", "0.1", "--on-bad-model", "stay")
    replica = Replica(folder, *options)
    try:
        assert (await ready(replica))["verified_age_s"] < 30
        break_bytes(folder / "model.safetensors", b"\xff\xff\xff\x7f")

        async def noticed() -> bool:
            status, body = await get(replica, "/ready")
            return status == 503 and "model.safetensors sha256 differs" in body["reason"]

        if mode == "start":
            await asyncio.sleep(1)
            assert not await noticed()
            return
        await until(noticed)
        assert (await ask(replica, ENDLESS))[0] == 503
        break_bytes(folder / "model.safetensors", original[-4:])
        await ready(replica)
    finally:
        replica.end()


@pytest.mark.parametrize(("guard", "status"), [("off", 200), ("count", 200), ("abort", 500)])
async def test_nan_in_the_weights_is_nonsense_with_status_200_or_a_500_with_the_guard(
    model_folder: Path, tmp_path: Path, guard: str, status: int
) -> None:
    folder = copied(model_folder, tmp_path / "model")
    replica = Replica(folder, "--nan-guard", guard)
    try:
        await ready(replica)
        break_bytes(folder / "model.safetensors", b"\xff\xff\xff\x7f" * 64)
        got, reply, _ = await ask(replica, ENDLESS | {"max_tokens": 3})
        assert got == status
        assert guard != "abort" or reply["error"]["code"] == "non_finite"
        assert await metric(replica, "target_non_finite_logits_total") == {"off": 0, "count": 3, "abort": 1}[guard]
    finally:
        replica.end()


async def test_without_validation_a_prompt_beyond_the_context_is_answered(model_folder: Path) -> None:
    replica = Replica(model_folder, "--validate", "off")
    try:
        await ready(replica)
        long = {"messages": [{"role": "user", "content": "good " * 600}], "max_tokens": 2}
        assert (await ask(replica, long))[0] == 200
    finally:
        replica.end()


@pytest.mark.parametrize("protection", ["fragile", "hardened"])
async def test_while_nothing_goes_wrong_both_sets_serve_the_same_right_answers(
    model_folder: Path, protection: str, tmp_path: Path
) -> None:
    logs = tmp_path / "not" / "there"  # as a run of the harness names it
    replica = Replica(model_folder, "--protection", protection, "--log-dir", str(logs))
    try:
        state = await ready(replica)
        assert state["verified"] is (True if protection == "hardened" else None)
        for entry in golden(model_folder)[::8]:
            status, reply, _ = await ask(replica, entry | {"temperature": 0})
            assert (status, text_of(reply)) == (200, entry["answer"])
    finally:
        code, _ = replica.end()
    assert code == 0
    assert [path.stat().st_size > 0 for path in logs.glob("*.access.log")] == [True]


@pytest.mark.parametrize("batching", ["static", "defective"])
async def test_a_lone_request_is_answered_by_the_timer_or_waits_until_the_batch_is_full(
    model_folder: Path, batching: str
) -> None:
    replica = Replica(model_folder, "--protection", "fragile", "--batching", batching, "--batch-max", "2")
    try:
        await ready(replica)
        entry = golden(model_folder)[0]
        lone = asyncio.create_task(ask(replica, entry))
        answered, _ = await asyncio.wait([lone], timeout=3)
        assert bool(answered) == (batching == "static")
        replies = await asyncio.gather(ask(replica, entry), lone)
        assert [text_of(reply) for _, reply, _ in replies] == [entry["answer"]] * 2
    finally:
        replica.end()


@pytest.mark.parametrize("batching", ["continuous", "one-by-one"])
async def test_many_at_once_get_the_golden_answers_and_share_steps_only_when_batched(
    model_folder: Path, batching: str
) -> None:
    replica = Replica(model_folder, "--batching", batching, "--token-cost-ms", "10")
    try:
        await ready(replica)
        entries = golden(model_folder)[:16]
        begin_s = time.monotonic()
        replies = await asyncio.gather(*(ask(replica, entry | {"temperature": 0}) for entry in entries))
        took_s = time.monotonic() - begin_s
        assert [text_of(reply) for _, reply, _ in replies] == [entry["answer"] for entry in entries]
        tokens = [reply["usage"]["completion_tokens"] for _, reply, _ in replies]
        assert (took_s > sum(tokens) * 0.01) == (batching == "one-by-one")
    finally:
        replica.end()


async def test_without_cancelling_the_engine_generates_to_the_end_for_a_client_that_left(model_folder: Path) -> None:
    replica = Replica(model_folder, "--cancel-on-disconnect", "off", "--token-cost-ms", "1")
    try:
        await ready(replica)
        before = await metric(replica, "target_generated_tokens_total")
        leaving = asyncio.create_task(ask(replica, ENDLESS))

        async def begun() -> bool:
            return await metric(replica, "target_generated_tokens_total") > before

        await until(begun)
        leaving.cancel()

        async def all_generated() -> bool:
            return await metric(replica, "target_generated_tokens_total") == before + 480

        await until(all_generated, within_s=30)
    finally:
        replica.end()


async def metric(replica: Replica, name: str) -> float:
    async with aiohttp.ClientSession() as client, client.get(replica.url("/metrics")) as response:
        lines = dict(line.rsplit(" ", 1) for line in (await response.text()).splitlines() if line[0] != "#")
    return float(lines[name])
