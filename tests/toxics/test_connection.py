from __future__ import annotations

import asyncio
import hashlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from harness.toxics.connection import Policy
from harness.toxics.flags import Address, parse_address
from harness.toxics.server import Settings, running

pytestmark = pytest.mark.process  # real sockets and real seconds: not for `make check`

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]

WITHIN_S = 60.0
PASS_RESET = Policy(pass_reset=True)
MEGABYTES_10 = 10 * 1024 * 1024
RESET = struct.pack("ii", 1, 0)


@asynccontextmanager
async def proxied(handler: Handler) -> AsyncIterator[Address]:
    """A proxy before an upstream that serves each connection with `handler`."""
    handled: list[asyncio.Future[None]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handled.append(asyncio.get_running_loop().create_future())
        mine = handled[-1]
        await handler(reader, writer)
        await close(writer)
        mine.set_result(None)

    upstream = await asyncio.start_server(handle, "127.0.0.1", 0, backlog=512)
    async with upstream, proxy_to(upstream.sockets[0].getsockname()[1]) as address:
        yield address
        await asyncio.gather(*handled)


@asynccontextmanager
async def proxy_to(port: int, policy: Policy = PASS_RESET) -> AsyncIterator[Address]:
    """A proxy; when it is left, every connection has to end by itself."""
    first = ("target", "127.0.0.1:0", f"127.0.0.1:{port}")
    async with running(Settings(port=None, proxies=(first,), policy=policy)) as (proxies, _):
        proxy = proxies.get("target")
        yield parse_address(proxy.listen)
        while proxy.connections:  # noqa: ASYNC110  the proxy has no event for it
            await asyncio.sleep(0.005)


async def connect(address: Address) -> Pair:
    return await asyncio.open_connection(address.host, address.port)


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


def reset(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    await close(writer)


async def test_what_is_sent_arrives_unchanged_and_comes_back() -> None:
    async with asyncio.timeout(WITHIN_S), proxied(echo) as address:
        reader, writer = await connect(address)
        writer.write(b"\x00hello\xff")
        assert await reader.readexactly(7) == b"\x00hello\xff"
        await close(writer)


async def test_an_upstream_answers_after_the_client_has_half_closed() -> None:
    async def answer_at_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"%d bytes" % len(await reader.read()))
        await close(writer)

    async with asyncio.timeout(WITHIN_S), proxied(answer_at_the_end) as address:
        reader, writer = await connect(address)
        writer.write(b"x" * 1000)
        writer.write_eof()
        assert await reader.read() == b"1000 bytes"
        await close(writer)


async def test_a_client_can_send_after_the_upstream_has_half_closed() -> None:
    received = asyncio.get_running_loop().create_future()

    async def end_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()
        received.set_result(await reader.read())
        await close(writer)

    async with asyncio.timeout(WITHIN_S), proxied(end_first) as address:
        reader, writer = await connect(address)
        assert await reader.read() == b""
        writer.write(b"still here")
        writer.write_eof()
        assert await received == b"still here"
        await close(writer)


async def test_an_upstream_that_refuses_is_a_reset_for_the_client() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with asyncio.timeout(WITHIN_S), proxy_to(unused.getsockname()[1]) as address:
            reader, writer = await connect(address)
            with pytest.raises(ConnectionResetError):
                await reader.read()
            await close(writer)


async def test_a_reset_of_the_upstream_is_a_reset_for_the_client() -> None:
    async def reset_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        reset(writer)

    async with asyncio.timeout(WITHIN_S), proxied(reset_at_once) as address:
        reader, writer = await connect(address)
        writer.write(b"x")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await close(writer)


async def test_a_reset_of_the_client_is_a_reset_for_the_upstream() -> None:
    ended = asyncio.get_running_loop().create_future()

    async def wait_for_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"begun")
        try:
            await reader.read()
        except ConnectionResetError as error:
            ended.set_result(error)
        else:
            ended.set_result(None)
        await close(writer)

    async with asyncio.timeout(WITHIN_S), proxied(wait_for_the_end) as address:
        reader, writer = await connect(address)
        await reader.readexactly(5)
        reset(writer)
        assert isinstance(await ended, ConnectionResetError)


async def test_ten_megabytes_go_both_ways_unchanged() -> None:
    content = bytes(range(256)) * (MEGABYTES_10 // 256)
    async with asyncio.timeout(WITHIN_S), proxied(echo) as address:
        reader, writer = await connect(address)

        async def send() -> None:
            writer.write(content)
            await writer.drain()
            writer.write_eof()

        sending = asyncio.create_task(send())
        received = await reader.read(-1)
        await sending
        assert hashlib.sha256(received).digest() == hashlib.sha256(content).digest()
        await close(writer)


async def send_until_stalled(writer: asyncio.StreamWriter, most: int) -> int:
    """Bytes sent until nothing was taken for 0.5 s."""
    sent = 0
    while sent < most:
        writer.write(b"x" * 65536)
        sent += 65536
        try:
            await asyncio.wait_for(writer.drain(), 0.5)
        except TimeoutError:
            break
    return sent


async def test_an_upstream_that_does_not_read_stops_the_client() -> None:
    go_on, total = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def read_later(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        count = 0
        while data := await reader.read(1 << 20):
            count += len(data)
        total.set_result(count)
        await close(writer)

    async with asyncio.timeout(WITHIN_S), proxied(read_later) as address:
        _, writer = await connect(address)
        sent = await send_until_stalled(writer, 10 * MEGABYTES_10)
        assert sent < 5 * MEGABYTES_10
        go_on.set()
        writer.write_eof()
        assert await total == sent
        await close(writer)


async def test_three_hundred_connections_are_forwarded_at_the_same_time() -> None:
    async with asyncio.timeout(WITHIN_S), proxied(echo) as address:
        pairs = await asyncio.gather(*(connect(address) for _ in range(300)))
        for number, (_, writer) in enumerate(pairs):
            writer.write(b"%06d" % number)
        answers = await asyncio.gather(*(reader.readexactly(6) for reader, _ in pairs))
        assert answers == [b"%06d" % number for number in range(300)]
        await asyncio.gather(*(close(writer) for _, writer in pairs))


async def test_a_client_that_leaves_takes_its_upstream_connection_along() -> None:
    ended = asyncio.Event()

    async def note_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        ended.set()
        await close(writer)

    async with asyncio.timeout(WITHIN_S), proxied(note_the_end) as address:
        _, writer = await connect(address)
        await close(writer)
        await ended.wait()
