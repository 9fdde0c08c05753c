"""Real replicas: a process each, on loopback, with the real model."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import pytest

pytestmark = pytest.mark.model

ROOT = Path(__file__).parents[3]
READY_WITHIN_S = 120


class Replica:
    """A replica process and where it listens."""

    def __init__(self, model: Path, *options: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "target_service.replica", "--model", str(model)]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port), *options], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def end(self) -> tuple[int, str]:
        if self.process.poll() is None:
            self.process.terminate()
        _, log = self.process.communicate(timeout=READY_WITHIN_S)
        return self.process.returncode, log


async def until(condition: Callable[[], Any], within_s: float = 10) -> None:
    deadline_s = time.monotonic() + within_s
    while not await condition():
        assert time.monotonic() < deadline_s, "the deadline passed"
        await asyncio.sleep(0.02)


async def get(replica: Replica, path: str) -> tuple[int, dict[str, Any]]:
    async with aiohttp.ClientSession() as client:
        try:
            async with client.get(replica.url(path)) as response:
                return response.status, await response.json()
        except aiohttp.ClientConnectionError:
            return 0, {}


async def ready(replica: Replica) -> dict[str, Any]:
    async def is_ready() -> bool:
        assert replica.process.poll() is None, "the replica ended"
        return (await get(replica, "/ready"))[0] == 200

    await until(is_ready, READY_WITHIN_S)
    return (await get(replica, "/ready"))[1]


async def ask(replica: Replica, body: dict[str, Any]) -> tuple[int, dict[str, Any], dict[str, str]]:
    async with (
        aiohttp.ClientSession() as client,
        client.post(replica.url("/v1/chat/completions"), json=body) as response,
    ):
        return response.status, await response.json(), dict(response.headers)


def golden(model: Path) -> list[dict[str, Any]]:
    tasks = json.loads((model / "golden.json").read_text())["tasks"]
    return [*tasks["chat"], *tasks["sentiment"]]


def text_of(reply: dict[str, Any]) -> Any:
    return reply["choices"][0]["message"]["content"]


def damage(folder: Path) -> None:
    """Flip the highest exponent bit of the final norm's first weight, in place."""
    path = folder / "model.safetensors"
    with path.open("r+b") as file:
        (header_bytes,) = struct.unpack("<Q", file.read(8))
        begin, _ = json.loads(file.read(header_bytes))["model.norm.weight"]["data_offsets"]
        for at in range(8 + header_bytes + begin + 3, 8 + header_bytes + begin + 64, 4):
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 0x40]))


def copied(model: Path, folder: Path) -> Path:
    return Path(shutil.copytree(model, folder))


@pytest.fixture(scope="module")
def good(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    # A copy: one test of this module damages the file that this replica has mapped.
    folder = copied(model_folder, tmp_path_factory.mktemp("good") / "model")
    replica = Replica(folder, "--name", "standby", "--max-queue", "1", "--max-active", "1")
    yield replica
    replica.end()


async def test_every_golden_prompt_is_answered_right(good: Replica, model_folder: Path) -> None:
    assert (await ready(good))["verified"] is True
    for entry in golden(model_folder)[::4]:
        status, reply, headers = await ask(good, entry | {"temperature": 0})
        assert (status, text_of(reply)) == (200, entry["answer"])
        assert headers["X-Served-By"] == "standby"


async def test_a_stream_has_the_shape_of_the_api(good: Replica, model_folder: Path) -> None:
    await ready(good)
    entry = golden(model_folder)[0]
    body = entry | {"stream": True, "stream_options": {"include_usage": True}}
    async with (
        aiohttp.ClientSession() as client,
        client.post(good.url("/v1/chat/completions"), json=body) as response,
    ):
        events = (await response.text()).removesuffix("\n\n").split("\n\n")
    assert events.pop() == "data: [DONE]"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    usage = chunks.pop()
    assert (usage["choices"], usage["usage"]["completion_tokens"] > 4) == ([], True)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(delta.get("content", "") for delta in deltas) == entry["answer"]
    assert [c["choices"][0]["finish_reason"] for c in chunks] == [None] * (len(chunks) - 1) + ["stop"]


async def test_a_prompt_longer_than_the_context_is_a_400(good: Replica) -> None:
    await ready(good)
    status, reply, _ = await ask(good, {"messages": [{"role": "user", "content": "good " * 600}]})
    assert (status, reply["error"]["code"]) == (400, "context_length_exceeded")


async def test_a_full_queue_is_429_and_a_client_that_leaves_frees_the_engine(good: Replica) -> None:
    await ready(good)
    endless = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 480, "ignore_eos": True}

    async def running_and_waiting() -> tuple[float, float]:
        async with aiohttp.ClientSession() as client, client.get(good.url("/metrics")) as response:
            lines = dict(line.rsplit(" ", 1) for line in (await response.text()).splitlines() if line[0] != "#")
        return float(lines["target_running"]), float(lines["target_queue_depth"])

    async def begun() -> bool:
        return await running_and_waiting() == (1, 0)

    async def busy() -> bool:
        return await running_and_waiting() == (1, 1)

    async def idle() -> bool:
        return await running_and_waiting() == (0, 0)

    # One after the other: until the engine takes the first, it fills the queue of one.
    tasks = [asyncio.create_task(ask(good, endless))]
    await until(begun)
    tasks.append(asyncio.create_task(ask(good, endless)))
    await until(busy)
    status, _, headers = await ask(good, endless)
    assert (status, headers["Retry-After"]) == (429, "1")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await until(idle, within_s=3)


@pytest.mark.parametrize("process", ["child", "same"])
async def test_overwriting_the_mapped_file_changes_answers_at_once(
    model_folder: Path, tmp_path: Path, process: str
) -> None:
    folder = copied(model_folder, tmp_path / "model")
    replica = Replica(folder, "--engine-process", process)
    try:
        await ready(replica)
        expected = json.loads((folder / "golden.json").read_text())["params_sha256"]
        assert (await get(replica, "/weights"))[1]["params_sha256"] == expected
        damage(folder)
        entry = golden(folder)[0]
        status, reply, _ = await ask(replica, entry)
        assert status == 200
        assert text_of(reply) != entry["answer"]
        assert (await get(replica, "/ready"))[0] == 200
        assert (await get(replica, "/weights"))[1]["params_sha256"] != expected
    finally:
        code, log = replica.end()
    assert code == 0, log


@pytest.mark.parametrize("process", ["child", "same"])
async def test_damaged_weights_are_refused_by_default_and_served_silently_without_verification(
    model_folder: Path, tmp_path: Path, process: str
) -> None:
    folder = copied(model_folder, tmp_path / "model")
    damage(folder)
    code, log = _wait(Replica(folder, "--engine-process", process))
    assert code == 78
    assert "the model is not served: manifest: model.safetensors sha256 differs" in log
    silent = Replica(folder, "--verify-weights", "off", "--disable-mmap", "--engine-process", process)
    try:
        assert (await ready(silent))["verified"] is None
        entry = golden(folder)[0]
        status, reply, _ = await ask(silent, entry)
        assert status == 200
        assert text_of(reply) != entry["answer"]
    finally:
        silent.end()


async def test_a_truncated_file_exits_78_even_without_verification(model_folder: Path, tmp_path: Path) -> None:
    folder = copied(model_folder, tmp_path / "model")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with ThreadPoolExecutor(1) as pool:
        code, log = pool.submit(_wait, Replica(folder, "--verify-weights", "off")).result()
    assert code == 78
    assert "load: SafetensorError" in log


def _wait(replica: Replica) -> tuple[int, str]:
    _, log = replica.process.communicate(timeout=READY_WITHIN_S)
    return replica.process.returncode, log


async def test_a_folder_as_downloaded_from_a_hub_is_served_and_says_that_it_is_unverified(
    model_folder: Path, tmp_path: Path
) -> None:
    folder = copied(model_folder, tmp_path / "model")
    for extra in ("golden.json", "manifest.json"):
        (folder / extra).unlink()
    replica = Replica(folder)
    try:
        state = await ready(replica)
        assert state["verified"] is None
        entry = golden(model_folder)[0]
        status, reply, _ = await ask(replica, entry | {"temperature": 0})
        assert (status, text_of(reply)) == (200, entry["answer"])
    finally:
        replica.end()
