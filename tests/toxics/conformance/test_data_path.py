"""What each toxic does to bytes, from outside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable

import pytest

from tests.toxics.client import Client, connected
from tests.toxics.upstreams import Upstream, answer_at_the_end, sends

pytestmark = pytest.mark.process  # real sockets and real seconds: not for `make check`

LATE_S = 0.25  # on a busy machine


async def seconds(what: Awaitable[object]) -> float:
    begin_s = time.monotonic()
    await what
    return time.monotonic() - begin_s


@pytest.mark.official
async def test_latency_delays_data_and_two_add_up(api: Client, upstream: Upstream) -> None:
    async with await connected(await api.proxy(upstream.address)) as peer:
        await peer.ask(b"x")
        await api.toxic("latency", latency=100)
        assert 0.1 <= await seconds(peer.ask(b"x")) < 0.1 + LATE_S
        await api.toxic("latency", latency=100, name="second")
        assert 0.2 <= await seconds(peer.ask(b"x")) < 0.2 + LATE_S


@pytest.mark.official
async def test_latency_does_not_delay_an_idle_end(api: Client, upstream: Upstream) -> None:
    upstream.handler = sends(b"")
    address = await api.proxy(upstream.address)
    await api.toxic("latency", latency=5000)
    async with await connected(address) as peer:
        assert await seconds(peer.rest()) < 1


@pytest.mark.official
@pytest.mark.parametrize("change", ["update", "remove", "neighbour"])
async def test_a_held_chunk_goes_at_once_when_the_toxic_is_changed(
    api: Client, upstream: Upstream, change: str
) -> None:
    async with await connected(await api.proxy(upstream.address)) as peer:
        await peer.ask(b"x")
        await api.toxic("latency", latency=20000)
        peer.writer.write(b"held")
        assert await peer.silent()
        if change == "remove":
            await api.remove("latency_downstream")
        elif change == "update":
            await api.call("PATCH", "/proxies/p/toxics/latency_downstream", {})
        else:
            await api.toxic("noop")
        assert await asyncio.wait_for(peer.reader.readexactly(4), 2) == b"held"


@pytest.mark.official
async def test_a_bandwidth_of_100_takes_two_seconds_for_200000_bytes(api: Client, upstream: Upstream) -> None:
    upstream.handler = sends(b"x" * 200_000)
    address = await api.proxy(upstream.address)
    await api.toxic("bandwidth", rate=100)
    async with await connected(address) as one, await connected(address) as two:
        took = await asyncio.gather(seconds(one.rest()), seconds(two.rest()))
    assert all(1.9 <= one <= 2.0 + LATE_S for one in took)


@pytest.mark.official
async def test_a_bandwidth_of_0_blocks_until_it_is_removed(api: Client, upstream: Upstream) -> None:
    async with await connected(await api.proxy(upstream.address)) as peer:
        await peer.ask(b"x")
        await api.toxic("bandwidth", rate=0)
        peer.writer.write(b"held")
        assert await peer.silent()
        await api.remove("bandwidth_downstream")
        assert await peer.reader.readexactly(4) == b"held"


@pytest.mark.official
async def test_slow_close_delays_the_end_only(api: Client, upstream: Upstream) -> None:
    upstream.handler = sends(b"data")
    address = await api.proxy(upstream.address)
    await api.toxic("slow_close", delay=300)
    begin_s = time.monotonic()
    async with await connected(address) as peer:
        assert await seconds(peer.reader.readexactly(4)) < LATE_S
        assert await peer.rest() == b""
    assert time.monotonic() - begin_s >= 0.3


@pytest.mark.official
async def test_a_timeout_counts_from_the_last_chunk(api: Client, upstream: Upstream) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(5):
            writer.write(b"x")
            await asyncio.sleep(0.15)
        await reader.read()

    upstream.handler = drip
    address = await api.proxy(upstream.address)
    await api.toxic("timeout", timeout=300)
    async with await connected(address) as peer:
        begin_s = time.monotonic()
        assert await peer.rest() == b""
    assert 0.85 <= time.monotonic() - begin_s < 0.95 + LATE_S


@pytest.mark.official
async def test_a_timeout_of_0_is_a_black_hole_until_the_source_closes(api: Client, upstream: Upstream) -> None:
    address = await api.proxy(upstream.address)
    await api.toxic("timeout", timeout=0)
    async with await connected(address) as peer:
        peer.writer.write(b"lost")
        assert await peer.silent()
        peer.writer.write_eof()
        assert await peer.rest() == b""


@pytest.mark.official
@pytest.mark.parametrize("toxicity", [0, 1])
async def test_removing_a_timeout_ends_every_connection(api: Client, upstream: Upstream, toxicity: int) -> None:
    address = await api.proxy(upstream.address)
    async with await connected(address) as one, await connected(address) as two:
        await asyncio.gather(one.ask(b"x"), two.ask(b"x"))
        await api.toxic("timeout", "upstream", timeout=0, toxicity=toxicity)
        await api.remove("timeout_upstream")
        assert [await one.rest(), await two.rest()] == [b"", b""]


@pytest.mark.official
async def test_reset_peer_resets_connections_that_come_after_it(api: Client, upstream: Upstream) -> None:
    address = await api.proxy(upstream.address)
    await api.toxic("reset_peer", timeout=50)
    async with await connected(address) as peer:
        assert await peer.silent(0.3), "an idle connection is left alone"
        peer.writer.write(b"x")
        with pytest.raises(ConnectionResetError):
            await peer.rest()


@pytest.mark.official
async def test_reset_peer_ends_connections_that_were_there(api: Client, upstream: Upstream) -> None:
    async with await connected(await api.proxy(upstream.address)) as peer:
        await peer.ask(b"x")
        await api.toxic("reset_peer")
        peer.writer.write(b"x")
        assert await peer.rest() == b""


@pytest.mark.official
async def test_reset_peer_with_toxicity_0_still_turns_an_end_into_a_reset(api: Client, upstream: Upstream) -> None:
    async def until_x(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)

    upstream.handler = until_x
    address = await api.proxy(upstream.address)
    await api.toxic("reset_peer", toxicity=0)
    async with await connected(address) as peer:
        peer.writer.write(b"x")
        with pytest.raises(ConnectionResetError):
            await peer.rest()


@pytest.mark.official
async def test_a_slicer_makes_16_pieces_of_100_bytes(api: Client, upstream: Upstream) -> None:
    async with await connected(await api.proxy(upstream.address)) as peer:
        await peer.ask(b"x")
        await api.toxic("slicer", average_size=10, delay=20_000)
        data = bytes(range(100))
        took = await seconds(peer.ask(data))
    assert 15 * 0.02 <= took < 16 * 0.02 + LATE_S


@pytest.mark.official
async def test_limit_data_counts_from_when_it_came_and_ends_at_the_limit(api: Client, upstream: Upstream) -> None:
    async with await connected(await api.proxy(upstream.address)) as peer:
        await peer.ask(b"before")
        await api.toxic("limit_data", bytes=5)
        assert await peer.ask(b"abc") == b"abc"
        await api.call("PATCH", "/proxies/p/toxics/limit_data_downstream", {"attributes": {"bytes": 8}})
        assert await peer.ask(b"defgh") == b"defgh"
        assert await peer.rest() == b""


@pytest.mark.official
@pytest.mark.parametrize("limit", [0, -3])
async def test_limit_data_of_nothing_ends_at_the_first_chunk(api: Client, upstream: Upstream, limit: int) -> None:
    address = await api.proxy(upstream.address)
    await api.toxic("limit_data", bytes=limit)
    async with await connected(address) as peer:
        assert await peer.silent()
        peer.writer.write(b"x")
        assert await peer.rest() == b""


@pytest.mark.official
async def test_toxicity_stays_for_a_connection_until_its_toxic_is_changed(api: Client, upstream: Upstream) -> None:
    async with await connected(await api.proxy(upstream.address)) as peer:
        await peer.ask(b"x")
        await api.toxic("latency", latency=100, toxicity=0.5)
        seen = set()
        for _ in range(60):
            first, second = [await seconds(peer.ask(b"x")) >= 0.1 for _ in range(2)]
            assert first == second, "it was rolled again without a change"
            seen.add(first)
            if len(seen) == 2:
                break
            await api.call("PATCH", "/proxies/p/toxics/latency_downstream", {})
        assert seen == {True, False}


@pytest.mark.official
async def test_toxics_touch_their_own_stream_only(api: Client, upstream: Upstream) -> None:
    upstream.handler = sends(b"hello", then_close=False)
    address = await api.proxy(upstream.address)
    await api.toxic("timeout", "upstream", timeout=0)
    async with await connected(address) as peer:
        peer.writer.write(b"lost")
        assert await peer.reader.readexactly(5) == b"hello"


@pytest.mark.divergence
async def test_a_half_close_is_passed_on(api: Client, upstream: Upstream) -> None:
    upstream.handler = answer_at_the_end
    async with await connected(await api.proxy(upstream.address)) as peer:
        peer.writer.write(b"x" * 1000)
        peer.writer.write_eof()
        assert await peer.rest() == b"1000 bytes"


@pytest.mark.divergence
async def test_removing_a_pending_reset_does_not_wait_for_it(api: Client, upstream: Upstream) -> None:
    address = await api.proxy(upstream.address)
    await api.toxic("reset_peer", timeout=1500)
    async with await connected(address) as peer:
        peer.writer.write(b"x")
        assert await peer.silent()
        assert await seconds(api.remove("reset_peer_downstream")) < 1
        with pytest.raises(ConnectionResetError):
            await peer.rest()


@pytest.mark.divergence
async def test_a_reader_that_does_not_read_loses_nothing_when_a_toxic_is_removed(
    api: Client, upstream: Upstream
) -> None:
    size = 20_000_000
    upstream.handler = sends(b"x" * size)
    address = await api.proxy(upstream.address)
    await api.toxic("latency", latency=10)
    async with await connected(address) as peer:
        await asyncio.sleep(0.3)
        assert await seconds(api.remove("latency_downstream")) < 1
        assert len(await peer.rest()) == size
