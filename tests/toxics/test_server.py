"""What belongs to the server as a whole: seed, dials, metrics, configuration."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from harness.toxics.api import Options
from harness.toxics.connection import Policy
from harness.toxics.server import Settings, running
from tests.toxics.client import Client, connected
from tests.toxics.upstreams import Upstream, answer_at_the_end, sends


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[Client]:
    async with running(settings) as (_, port), Client(f"http://127.0.0.1:{port}") as client:
        yield client


async def which_are_hit(seed: int, extra: int) -> list[bool]:
    """Of 24 connections, those on which a toxic of 0.5 acts; `extra` reads happen in between on another proxy."""
    async with Upstream(sends(b"x" * 10)) as upstream, served(Settings(port=0, seed=seed)) as api:
        address, other = await api.proxy(upstream.address), await api.proxy(upstream.address, name="other")
        await api.toxic("limit_data", bytes=5, toxicity=0.5)
        await api.toxic("latency", proxy="other", jitter=2, toxicity=0.5)
        found = []
        for _ in range(24):
            for _ in range(extra):
                async with await connected(other) as peer:
                    await peer.rest()
            async with await connected(address) as peer:
                found.append(len(await peer.rest()) == 5)
        return found


async def test_the_seed_alone_decides_which_connections_are_hit() -> None:
    first = await which_are_hit(seed=3, extra=0)
    assert set(first) == {True, False}
    assert await which_are_hit(seed=3, extra=1) == first
    assert await which_are_hit(seed=4, extra=0) != first


async def test_an_upstream_that_swallows_the_dial_blocks_nothing() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        address = silent.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:  # its queue is full then, and further SYNs are dropped
                filler.setblocking(False)
                filler.connect_ex(address)
            async with asyncio.timeout(5), served(Settings(port=0)) as api:
                proxy = await api.proxy(f"127.0.0.1:{address[1]}")
                async with await connected(proxy) as peer, await connected(proxy) as another:
                    assert await peer.silent()
                    assert (await api.call("GET", "/proxies/p")).status == 200
                    assert (await api.call("PATCH", "/proxies/p", {"enabled": False})).status == 200
                    assert [await peer.rest(), await another.rest()] == [b"", b""]
        finally:
            for filler in fillers:
                filler.close()


async def test_metrics_count_while_a_connection_is_open() -> None:
    settings = Settings(port=0, options=Options(proxy_metrics=True, runtime_metrics=True))
    async with Upstream() as upstream, served(settings) as api:
        host, port = await api.proxy(upstream.address, name='a"b')
        names = f'listener="{host}:{port}",proxy="a\\"b",upstream="{upstream.address}"'
        async with await connected((host, port)) as peer:
            await peer.ask(b"12345")
            text = (await api.call("PUT", "/metrics")).text
    labels = f'{{direction="upstream",{names}}}'
    assert f"toxiproxy_proxy_received_bytes_total{labels} 5\n" in text
    assert f"toxiproxy_proxy_sent_bytes_total{labels} 5\n" in text
    assert "process_resident_memory_bytes" in text


async def test_without_half_close_an_end_ends_both_directions() -> None:
    settings = Settings(port=0, policy=Policy(half_close=False))
    async with Upstream(answer_at_the_end) as upstream, served(settings) as api:
        async with await connected(await api.proxy(upstream.address)) as peer:
            peer.writer.write(b"x")
            peer.writer.write_eof()
            assert await peer.rest() == b""
        await upstream.no_one_left()


async def test_the_configuration_file_is_a_populate_request(tmp_path: Path) -> None:
    file = tmp_path / "proxies.json"
    file.write_text(json.dumps([{"name": "p", "listen": "127.0.0.1:0", "upstream": "u:1"}]))
    async with served(Settings(port=0, config=str(file))) as api:
        assert list((await api.call("GET", "/proxies")).json) == ["p"]


@pytest.mark.parametrize(
    "text", [None, "{", "{}", '[{"name": "p"}]', '[{"name": "p", "upstream": "u:1", "listen": "x"}]']
)
async def test_a_bad_configuration_file_is_logged_and_the_server_runs(
    tmp_path: Path, text: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "proxies.json"
    if text is not None:
        file.write_text(text)
    async with served(Settings(port=0, config=str(file))) as api:
        assert (await api.call("GET", "/version")).status == 200
    assert json.loads(capsys.readouterr().out)["level"] == "error"


async def test_a_name_is_looked_up_for_each_connection() -> None:
    async with Upstream() as upstream, served(Settings(port=0)) as api:
        address = await api.proxy(upstream.address.replace("127.0.0.1", "localhost"))
        async with await connected(address) as peer:
            assert await peer.ask(b"x") == b"x"


async def test_a_body_that_is_too_large_is_a_sentence() -> None:
    async with served(Settings(port=0)) as api:
        answer = await api.call("POST", "/populate", b"[" + b" " * (17 * 1024 * 1024))
        assert answer.error[0] == 413
        assert (await api.call("GET", "/version")).status == 200


async def test_a_toxic_that_cannot_be_waited_for_does_not_disturb_others() -> None:
    async with Upstream() as upstream, served(Settings(port=0)) as api:
        address = await api.proxy(upstream.address)
        await api.toxic("latency", latency=2**62)
        async with await connected(address) as peer:
            peer.writer.write(b"x")
            assert await peer.silent()
            await api.call("PATCH", "/proxies/p/toxics/latency_downstream", {"attributes": {"latency": 20}})
            assert await peer.reader.readexactly(1) == b"x"
