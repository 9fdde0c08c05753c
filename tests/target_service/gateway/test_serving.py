"""A gateway in a process of its own: how it ends, and how long it keeps idle connections."""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.target_service.gateway.stub_replicas import Stub

pytestmark = pytest.mark.process


@dataclass
class Running:
    """The process, its stub replica and a client."""

    process: asyncio.subprocess.Process
    port: int
    stub: Stub
    client: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def ended(self) -> tuple[int, float]:
        """Exit code after SIGTERM, and seconds until then."""
        begin_s = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(15):
            return await self.process.wait(), time.monotonic() - begin_s


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@asynccontextmanager
async def running(*options: str) -> AsyncIterator[Running]:
    stub, port = Stub(), free_port()
    stub.server.skip_url_asserts = True
    await stub.server.start_server()
    line = ["--port", str(port), "--replica", f"primary={stub.server.make_url('')}", "--beat-s", "0.05", *options]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "target_service.gateway", *line, cwd=Path(__file__).parents[3]
    )
    try:
        async with aiohttp.ClientSession() as client:
            made = Running(process, port, stub, client)
            async with asyncio.timeout(20):
                while not await admitted(made):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            yield made
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        stub.release.set()
        await stub.server.close()


async def admitted(made: Running) -> bool:
    try:
        async with made.client.get(f"{made.url}/ready") as response:
            return response.status == 200
    except aiohttp.ClientConnectorError:
        return False


@asynccontextmanager
async def open_stream(made: Running) -> AsyncIterator[aiohttp.ClientResponse]:
    made.stub.mode = "stream"
    async with made.client.post(f"{made.url}/v1/chat/completions", json={"stream": True}) as response:
        assert await response.content.readuntil(b"\n\n") == b"data: one\n\n"
        yield response


async def refused(made: Running) -> None:
    async with asyncio.timeout(5):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", made.port)
            except ConnectionRefusedError:
                return
            writer.close()
            await asyncio.sleep(0.02)


async def test_a_drain_lets_an_open_stream_end_and_takes_no_more() -> None:
    async with running("--drain-s", "10") as made, open_stream(made) as response:
        ending = asyncio.create_task(made.ended())
        await refused(made)
        made.stub.release.set()
        assert await response.content.read() == b"data: [DONE]\n\n"
        code, took_s = await ending
        assert (code, took_s < 5) == (0, True)


async def test_a_drain_says_not_ready_and_closes_a_kept_connection_with_its_next_answer() -> None:
    async with running("--drain-s", "10") as made, open_stream(made) as response:
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: gateway\r\n\r\n")
        await reader.readuntil(b'"alive"}')
        ending = asyncio.create_task(made.ended())
        await refused(made)
        writer.write(b"GET /ready HTTP/1.1\r\nHost: gateway\r\n\r\n")
        async with asyncio.timeout(3):
            rest = await reader.read()
        assert rest.startswith(b"HTTP/1.1 503")
        assert b'"reason": "draining"' in rest
        assert not ending.done()
        writer.close()
        made.stub.release.set()
        await response.read()
        assert (await ending)[0] == 0


@pytest.mark.parametrize("drain_s", ["0", "0.5"])
async def test_a_drain_is_bounded_and_what_is_left_is_cut(drain_s: str) -> None:
    async with running("--drain-s", drain_s) as made, open_stream(made) as response:
        code, took_s = await made.ended()
        assert code == 0
        assert float(drain_s) <= took_s < float(drain_s) + 2
        with pytest.raises(aiohttp.ClientError):
            await response.content.read()


@pytest.mark.parametrize(("keepalive_s", "closed"), [("0.2", True), ("75", False)])
async def test_an_idle_connection_stays_open_as_long_as_the_setting_says(keepalive_s: str, closed: bool) -> None:
    async with running("--keepalive-s", keepalive_s) as made:
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: gateway\r\n\r\n")
        await reader.readuntil(b'"alive"}')
        # Nothing comes after the answer but the end of the connection.
        done, waiting = await asyncio.wait([asyncio.create_task(reader.read())], timeout=1.5)
        assert bool(done) is closed
        for task in waiting:
            task.cancel()
        writer.close()


@pytest.mark.parametrize("option", ["--api-keys-file", "--register-token-file", "--admin-token-file"])
def test_a_file_of_secrets_that_cannot_be_used_ends_the_gateway_with_one_sentence(option: str, tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text("hunter2\n")
    line = ["--port", str(free_port()), "--replica", "a=http://127.0.0.1:9", option, str(file)]
    ended = subprocess.run(
        [sys.executable, "-m", "target_service.gateway", *line],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    (said,) = ended.stderr.splitlines()
    assert f"{option}: {file}, line 1: needs at least 16 characters" in said
    assert "hunter2" not in said


async def test_it_takes_as_many_open_files_as_it_is_told_and_may_have() -> None:
    for wanted in (256, 2**40):
        async with running("--open-files", str(wanted)) as one:
            soft, hard = resource.prlimit(one.process.pid, resource.RLIMIT_NOFILE)
        assert soft == min(wanted, hard)
