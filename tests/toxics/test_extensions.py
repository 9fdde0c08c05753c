"""Toxics that the official server lacks, on HTTP as an inference service speaks it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from harness.toxics.server import Settings, running
from tests.toxics.client import Client, Peer, connected
from tests.toxics.upstreams import Upstream, sends

pytestmark = pytest.mark.process  # real sockets and real seconds: not for `make check`

EVENTS = 6
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def api() -> AsyncIterator[Client]:
    async with running(Settings(port=0, seed=7)) as (_, port), Client(f"http://127.0.0.1:{port}") as client:
        yield client


@pytest.fixture
async def service() -> AsyncIterator[str]:
    """A stream of events at /stream, the length of what was sent at /echo."""

    async def stream(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for number in range(EVENTS):
            await answer.write(f"data: {number}\n\n".encode())
            await asyncio.sleep(0.005)
        return answer

    async def echo(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    app = web.Application()
    app.router.add_route("*", "/stream", stream)
    app.router.add_route("*", "/echo", echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def statuses(address: tuple[str, int], count: int) -> list[int]:
    """Of requests one after the other on one connection."""
    connector = aiohttp.TCPConnector(limit=1)
    found = []
    async with aiohttp.ClientSession(f"http://{address[0]}:{address[1]}", connector=connector) as session:
        for number in range(count):
            async with session.post("/echo", data=b"x" * (number * 20_000)) as answer:
                found.append(answer.status)
                text = await answer.text()
                assert answer.status != 200 or text == str(number * 20_000)
    return found


async def test_http_status_answers_a_share_of_the_requests_of_one_connection(api: Client, service: str) -> None:
    address = await api.proxy(service)
    await api.toxic("http_status", "upstream", status=429, retry_after=3, toxicity=0.5, toxicity_per="request")
    found = await statuses(address, 20)
    assert set(found) == {200, 429}


async def test_http_status_per_connection_answers_all_and_says_when_to_retry(api: Client, service: str) -> None:
    address = await api.proxy(service)
    await api.toxic("http_status", "upstream", status=429, retry_after=3)
    url = f"http://{address[0]}:{address[1]}/echo"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "3")
        assert (await answer.json())["error"]["code"] == 429


async def test_chunked_bodies_are_swallowed_whole(api: Client, service: str) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"y" * 1000

    address = await api.proxy(service)
    await api.toxic("http_status", "upstream", toxicity=0.5, toxicity_per="request")
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(f"http://{address[0]}:{address[1]}", connector=connector) as session:
        found = []
        for _ in range(12):
            async with session.post("/echo", data=body()) as answer:
                found.append((answer.status, "5000" in await answer.text()))
    assert set(found) == {(200, True), (503, False)}


async def test_the_same_seed_draws_the_same_for_each_request(service: str) -> None:
    found = []
    for seed in (1, 1, 2):
        async with running(Settings(port=0, seed=seed)) as (_, port), Client(f"http://127.0.0.1:{port}") as api:
            address = await api.proxy(service)
            await api.toxic("http_status", "upstream", toxicity=0.5, toxicity_per="request")
            found.append(await statuses(address, 24))
    assert found[0] == found[1] != found[2]


async def events(address: tuple[str, int]) -> tuple[list[str], str]:
    """The events that came, and how the stream ended."""
    url = f"http://{address[0]}:{address[1]}/stream"
    found, how = b"", "whole"
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(url) as answer:
                async for chunk in answer.content.iter_any():
                    found += chunk
        except aiohttp.ClientPayloadError:
            how = "cut"
        except aiohttp.ClientOSError:
            how = "reset"
    return [line for line in found.decode().split("\n") if line], how


@pytest.mark.parametrize(("ending", "how"), [("close", {"cut"}), ("reset", {"cut", "reset"}), ("finish", {"whole"})])
async def test_a_stream_is_cut_after_some_events(api: Client, service: str, ending: str, how: set[str]) -> None:
    address = await api.proxy(service)
    await api.toxic("sse_truncate", events=2, ending=ending)
    for _ in range(2):
        found, ended = await events(address)
        assert ended in how
        assert found == ["data: 0", "data: 1"] or ending == "reset"  # RST may overtake what is not read yet


async def test_answers_that_are_no_streams_are_left_alone(api: Client, service: str) -> None:
    address = await api.proxy(service)
    await api.toxic("sse_truncate", events=0)
    await api.toxic("sse_stall", events=1)
    assert await statuses(address, 3) == [200, 200, 200]


async def test_events_are_cut_exactly_even_when_they_share_a_chunk(api: Client, upstream: Upstream) -> None:
    body = b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
    upstream.handler = sends(HEAD + b"%x\r\n%s\r\n" % (len(body), body), then_close=False)
    address = await api.proxy(upstream.address)
    await api.toxic("sse_truncate", events=2)
    async with await connected(address) as peer:
        peer.writer.write(GET)
        assert (await peer.rest()).endswith(b"data: 0\n\ndata: 1\n\n")


async def test_a_stream_is_held_and_then_goes_on(api: Client, service: str) -> None:
    address = await api.proxy(service)
    await api.toxic("sse_stall", events=2, stall=200)
    loop = asyncio.get_running_loop()
    begin_s = loop.time()
    found, how = await events(address)
    assert (len(found), how) == (EVENTS, "whole")
    assert 0.2 <= loop.time() - begin_s < 2


async def test_a_stream_is_held_until_the_toxic_is_removed(api: Client, service: str) -> None:
    address = await api.proxy(service)
    await api.toxic("sse_stall", events=2)
    async with await connected(address) as peer:
        peer.writer.write(GET.replace(b"/ ", b"/stream "))
        got = await peer.reader.readuntil(b"data: 1\n\n")
        assert b"data: 0" in got
        assert await nothing_but_chunk_end(peer)
        await api.remove("sse_stall_downstream")
        assert (await asyncio.wait_for(peer.reader.readuntil(b"data: 5\n\n"), 2)).count(b"data") == EVENTS - 2


async def nothing_but_chunk_end(peer: Peer) -> bool:
    try:
        rest = await asyncio.wait_for(peer.reader.readuntil(b"data"), 0.15)
    except TimeoutError:
        return True
    return rest == b""


async def test_corrupt_flips_single_bits_at_its_rate(api: Client, upstream: Upstream) -> None:
    size = 1_000_000
    upstream.handler = sends(bytes(size))
    address = await api.proxy(upstream.address)
    await api.toxic("corrupt", flips_per_million=500)
    async with await connected(address) as peer:
        data = await peer.rest()
    hit = [byte for byte in data if byte]
    assert len(data) == size
    assert 400 <= len(hit) <= 600
    assert all(byte.bit_count() == 1 for byte in hit)


async def test_a_black_hole_accepts_says_nothing_and_loses_nothing(api: Client, upstream: Upstream) -> None:
    address = await api.proxy(upstream.address)
    await api.toxic("blackhole", "upstream")
    async with await connected(address) as peer:
        peer.writer.write(b"held")
        peer.writer.write_eof()
        assert await peer.silent()
        await api.remove("blackhole_upstream")
        assert await peer.rest() == b"held"


async def test_what_is_not_http_passes_a_toxic_that_reads_requests(api: Client, upstream: Upstream) -> None:
    address = await api.proxy(upstream.address)
    await api.toxic("http_status", "upstream")
    async with await connected(address) as peer:
        assert await peer.ask(b"\x00\x01binary") == b"\x00\x01binary"


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as one:
        yield one
