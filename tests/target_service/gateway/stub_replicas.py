"""A real gateway before stub replicas, all on loopback in one loop."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from target_service.gateway.app import make_app
from target_service.gateway.settings import GatewaySettings, ReplicaAddress

ANSWER = {"choices": [{"message": {"content": "positive"}}]}


class Stub:
    """A replica whose mood the test sets; `mode` decides what users get."""

    def __init__(self) -> None:
        self.mode, self.answer, self.incarnation = "json", "positive", "one"
        self.ready, self.hang_ready = True, False
        self.cancelled = asyncio.Event()
        self.release = asyncio.Event()
        self.golden_asked = self.users_asked = 0
        self.golden_ends = self.golden_in_time = True
        self.status, self.headers = 200, {"Retry-After": "1"}
        self.seen: dict[str, str] = {}
        self.config_version: str | None = None
        app = web.Application()

        async def sign(_: web.Request, response: web.StreamResponse) -> None:
            response.headers["X-Incarnation"] = self.incarnation

        app.on_response_prepare.append(sign)
        app.router.add_get("/ready", self.on_ready)
        app.router.add_post("/v1/chat/completions", self.on_chat)
        app.router.add_post("/fingerprint", self.on_fingerprint)
        self.fingerprint: tuple[int, dict[str, Any]] = (404, {})
        self.server = TestServer(app)

    async def on_ready(self, request: web.Request) -> web.Response:
        if self.hang_ready:
            await asyncio.sleep(60)
        body = {"incarnation": self.incarnation, "reason": "stub", "config_version": self.config_version}
        return web.json_response(body, status=200 if self.ready else 503)

    async def on_fingerprint(self, request: web.Request) -> web.Response:
        assert request.headers["X-Probe"] == "gateway-golden"
        assert (await request.json())["texts"][0]["answer"] == "positive"
        status, body = self.fingerprint
        return web.json_response(body, status=status)

    async def on_chat(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("X-Probe") == "gateway-golden":
            self.golden_asked += 1
            if not self.golden_in_time:
                await self.release.wait()
            if (await request.json()).get("stream"):
                event = json.dumps({"choices": [{"delta": {"content": self.answer}}]})
                return web.Response(text=f"data: {event}\n\n" + "data: [DONE]\n\n" * self.golden_ends)
            return web.json_response({"choices": [{"message": {"content": self.answer}}]})
        self.users_asked += 1
        self.seen = dict(request.headers)
        if self.mode == "drop" and request.transport is not None:
            request.transport.abort()
        if self.status != 200:
            return web.json_response({}, status=self.status, headers=self.headers)
        if self.mode == "slow":
            await self.release.wait()
        if self.mode in ("json", "slow"):
            return web.json_response(ANSWER, headers={"X-Upstream": "kept"})
        if self.mode == "hang":
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        return await self._stream(request)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while self.mode == "flood":
            await response.write(bytes(2**20))
        await response.write(b"data: one\n\n")
        for _ in range(8 if self.mode == "steady" else 0):
            await asyncio.sleep(0.1)
            await response.write(b"data: more\n\n")
        if self.mode == "steady":
            self.release.set()
        if self.mode == "break" and request.transport is not None:
            request.transport.abort()
            return response
        if self.mode == "short":
            return response
        await self.release.wait()
        await response.write(b"data: [DONE]\n\n")
        return response


class Stack:
    """The gateway's server, the stubs and a client."""

    def __init__(self, gateway: TestServer, stubs: dict[str, Stub], client: aiohttp.ClientSession) -> None:
        self.gateway, self.stubs, self.client = gateway, stubs, client

    def chat(self, *, stream: bool = False, **headers: str) -> Any:
        url = self.gateway.make_url("/v1/chat/completions")
        body = {"stream": True} if stream else {}
        return self.client.post(url, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})

    async def served(self, times: int) -> list[tuple[int, str | None]]:
        """Status and replica of some requests, one after another."""
        answers = []
        for _ in range(times):
            async with self.chat() as response:
                answers.append((response.status, response.headers.get("X-Served-By")))
        return answers

    async def get(self, path: str) -> dict[str, Any]:
        async with self.client.get(self.gateway.make_url(path)) as response:
            body: dict[str, Any] = await response.json()
            return body

    async def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline_s = time.monotonic() + 20
        while not condition(state := await self.get("/gateway/state")):
            assert time.monotonic() < deadline_s, state
            await asyncio.sleep(0.02)
        return state

    async def kinds(self, replica: str) -> list[str]:
        events = (await self.get("/gateway/events?since=0"))["events"]
        return [event["kind"] for event in events if event["replica"] == replica]


def pair() -> dict[str, Stub]:
    return {"primary": Stub(), "standby": Stub()}


@asynccontextmanager
async def gateway_before(stubs: dict[str, Stub], folder: Path, **changes: Any) -> AsyncIterator[Stack]:
    """Starts the stubs and a gateway whose settings are changed; all that are ready are admitted."""
    golden = folder / "golden.json"
    entry = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 4, "answer": "positive"}
    golden.write_text(json.dumps({"model": "m", "tasks": {"sentiment": [entry]}}))
    for stub in stubs.values():
        stub.server.skip_url_asserts = True
        await stub.server.start_server()
    marks = changes.pop("marks", {})
    hosts = changes.pop("hosts", {})
    urls = {n: s.server.make_url("").with_host(hosts.get(n, "127.0.0.1")) for n, s in stubs.items()}
    addresses = tuple(ReplicaAddress(n, str(url).rstrip("/"), **marks.get(n, {})) for n, url in urls.items())
    fast: dict[str, Any] = {"beat_s": 0.05, "beat_timeout_s": 1.0, "request_timeout_s": 3.0}
    settings = GatewaySettings(0, "127.0.0.1", addresses, golden, **(fast | changes))
    gateway = TestServer(make_app(settings))
    await gateway.start_server(shutdown_timeout=0.1)
    try:
        async with aiohttp.ClientSession() as client:
            made = Stack(gateway, stubs, client)
            await made.until(lambda s: all(s["replicas"][n]["admitted"] for n, stub in stubs.items() if stub.ready))
            yield made
    finally:
        await gateway.close()
        for stub in stubs.values():
            stub.release.set()
            await stub.server.close()
