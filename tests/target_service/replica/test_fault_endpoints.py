"""/faults on a real socket: closed without the token, and each fault seen by a user."""

from __future__ import annotations

import asyncio
import logging

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from target_service.gateway.app import make_app as make_gateway
from target_service.gateway.settings import GatewaySettings, ReplicaAddress
from target_service.protocol.web import with_error_bodies
from target_service.replica.fault_endpoints import FaultEndpoints
from target_service.replica.faults import Faults
from target_service.replica.settings import HttpSettings, parse_arguments
from tests.target_service.replica.replica import TOKEN, Replica

pytestmark = pytest.mark.process


async def test_without_a_token_at_the_start_there_are_no_fault_endpoints() -> None:
    replica = Replica(HttpSettings())
    await replica.start()
    assert (await replica.send("POST", "/faults/hang"))[0] == 404
    assert (await replica.send("GET", "/faults"))[0] == 404
    await replica.close()


@pytest.mark.parametrize("token", [{}, {"X-Fault-Token": ""}, {"X-Fault-Token": "sesam"}, {"X-Fault-Token": "ö"}])
@pytest.mark.parametrize(("method", "path"), [("GET", "/faults"), ("POST", "/faults/hang"), ("DELETE", "/faults/hang")])
async def test_a_wrong_token_opens_nothing(replica: Replica, method: str, path: str, token: dict[str, str]) -> None:
    status, body = await replica.send(method, path, token=token)
    assert (status, body["error"]["code"]) == (403, "fault_token")
    assert replica.faults.active() == {}


async def test_faults_are_listed_and_cleared(replica: Replica) -> None:
    await replica.send("POST", "/faults/leak_slots", {"slots": 2})
    status, body = await replica.send("POST", "/faults/leak_memory", {"mb": 1})
    assert (status, body["active"]) == (
        200,
        {"leak_memory": {"mb": 1, "kb_per_request": 0}, "leak_slots": {"slots": 2}},
    )
    assert (await replica.send("GET", "/faults"))[1] == body
    assert (await replica.send("DELETE", "/faults/leak_memory"))[1]["active"] == {"leak_slots": {"slots": 2}}
    assert (await replica.send("DELETE", "/faults/leak_memory"))[0] == 404


async def test_a_hung_engine_answers_nobody_while_the_server_lives(replica: Replica) -> None:
    await replica.send("POST", "/faults/hang")
    asked = asyncio.ensure_future(replica.ask("hi"))
    assert not (await asyncio.wait({asked}, timeout=0.1))[0]
    assert (await replica.get("/health"))[0] == 200
    await replica.send("DELETE", "/faults/hang")
    assert (await asked)[0] == 200


async def test_a_truncated_stream_has_status_200_and_no_end(replica: Replica) -> None:
    whole = await replica.ask("hello", stream=True)
    await replica.send("POST", "/faults/truncate_stream", {"events": 2})
    cut = await replica.ask("hello", stream=True)
    assert (whole[0], cut[0]) == (200, 200)
    assert (whole[1].count("[DONE]"), cut[1].count("[DONE]")) == (1, 0)
    assert (cut[1].count('"content":"h"'), cut[1].count('"content":"l"')) == (1, 0)
    assert '"finish_reason":"stop"' not in cut[1]


async def test_a_crash_ends_with_its_code_after_the_reply_unless_it_is_cleared_before() -> None:
    codes: asyncio.Queue[int] = asyncio.Queue()
    app = web.Application()
    FaultEndpoints(Faults(), "sesame", codes.put_nowait).add_to(app)
    async with TestClient(TestServer(app)) as client:
        for code in (3, 139):
            body = {"exit_code": code, "after_s": 60 if code == 3 else 0}
            async with client.post("/faults/crash", json=body, headers=TOKEN) as response:
                assert response.status == 200
        assert await asyncio.wait_for(codes.get(), 10) == 139
        async with client.post("/faults/crash", json={"after_s": 0.1}, headers=TOKEN):
            pass
        async with client.delete("/faults/crash", headers=TOKEN) as response:
            assert response.status == 200
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(codes.get(), 0.2)


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("kill_engine", {}, "no_engine_process"),
        ("slow_load", {}, "no_engine_process"),
        ("crash", {"where": "engine"}, "no_engine_process"),
        ("stale_cache", {}, "no_cache"),
    ],
)
async def test_what_cannot_happen_here_is_refused_and_not_listed(
    replica: Replica, name: str, body: dict[str, object], code: str
) -> None:
    status, answer = await replica.send("POST", f"/faults/{name}", body)
    assert (status, answer["error"]["code"]) == (409, code)
    assert replica.faults.active() == {}


class Engine:
    """Takes note of signals; there is a process while `alive`."""

    def __init__(self) -> None:
        self.signals: list[int] = []
        self.alive = True

    def signal(self, number: int) -> bool:
        if self.alive:
            self.signals.append(number)
        return self.alive


async def test_a_signal_to_the_engine_is_over_at_once_but_a_stop_lasts_until_it_is_continued() -> None:
    engine, app = Engine(), web.Application(middlewares=[with_error_bodies])
    FaultEndpoints(Faults(), "sesame", control=engine).add_to(app)
    async with TestClient(TestServer(app)) as client:

        async def send(method: str, body: object = None) -> tuple[int, object]:
            async with client.request(method, "/faults/kill_engine", json=body, headers=TOKEN) as response:
                return response.status, (await response.json()).get("active")

        assert await send("POST", {}) == (200, {})
        assert await send("DELETE") == (404, None)
        assert await send("POST", {"signal": 19}) == (200, {"kill_engine": {"signal": 19}})
        assert await send("DELETE") == (200, {})
        engine.alive = False
        assert await send("POST", {}) == (409, None)
    assert engine.signals == [9, 19, 18]


async def test_a_stale_cache_gives_answers_of_any_age_and_of_a_model_that_has_gone() -> None:
    replica = Replica(HttpSettings(faults_token="sesame", cache_size=9, cache_ttl_s=0.01))
    await replica.start()
    replica.state.weights_sha256 = "old"
    await replica.ask("aa")
    await replica.send("POST", "/faults/stale_cache")
    await asyncio.sleep(0.02)
    replica.state.weights_sha256 = "new"
    await replica.ask("aa")
    assert replica.engine.tokens_total == 3
    await replica.send("DELETE", "/faults/stale_cache")
    await replica.ask("aa")
    assert replica.engine.tokens_total == 6
    await replica.close()


async def test_ready_can_be_said_too_early(replica: Replica) -> None:
    replica.state.serving = None
    assert (await replica.get("/ready"))[0] == 503
    await replica.send("POST", "/faults/early_ready")
    assert (await replica.get("/ready"))[0] == 200
    await replica.send("DELETE", "/faults/early_ready")
    assert (await replica.get("/ready"))[0] == 503


async def test_a_token_is_nowhere_in_the_log(replica: Replica, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await replica.send("POST", "/faults/leak_slots")
        await replica.send("POST", "/faults/leak_slots", token={"X-Fault-Token": "guessed"})
    assert "fault begins" in caplog.text
    assert "sesame" not in caplog.text
    assert "guessed" not in caplog.text
    assert "sesame" not in repr(parse_arguments(["--model", "m", "--port", "1", "--faults-token", "sesame"]))


@pytest.mark.parametrize(
    "path", ["/faults", "/v1/../faults", "/v1/%2e%2e/faults", "/v1/..%2ffaults", "/v1/x/../../faults"]
)
async def test_no_path_leads_through_the_gateway_to_the_faults(replica: Replica, path: str) -> None:
    address = ReplicaAddress("primary", str(replica.client.make_url("")).rstrip("/"))
    async with TestClient(
        TestServer(make_gateway(GatewaySettings(0, "127.0.0.1", (address,), beat_s=0.02)))
    ) as gateway:
        async with asyncio.timeout(10):
            while (await gateway.get("/ready")).status != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        reader, writer = await asyncio.open_connection(gateway.host, gateway.port)
        writer.write(f"GET {path} HTTP/1.0\r\nHost: x\r\nX-Fault-Token: sesame\r\n\r\n".encode())
        reply = await reader.read()
        writer.close()
        assert reply.split()[1] in (b"403", b"404")
        assert b"active" not in reply
