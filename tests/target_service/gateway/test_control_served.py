"""Registering and isolating over real sockets: with a token, never before golden answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from target_service.replica.registration import Registrar
from tests.target_service.gateway.stub_replicas import Stack, Stub, gateway_before, pair

pytestmark = pytest.mark.process

REGISTER, ADMIN = "register-token-of-many", "admin-token-of-many"


@asynccontextmanager
async def controlled(folder: Path, stubs: dict[str, Stub] | None = None, **changes: Any) -> AsyncIterator[Stack]:
    files = {"register_token_file": folder / "register", "admin_token_file": folder / "admin"}
    files["register_token_file"].write_text(REGISTER)
    files["admin_token_file"].write_text(ADMIN)
    async with gateway_before(pair() if stubs is None else stubs, folder, **files, **changes) as stack:
        yield stack


@asynccontextmanager
async def newcomer() -> AsyncIterator[tuple[Stub, str]]:
    stub = Stub()
    stub.server.skip_url_asserts = True
    await stub.server.start_server()
    try:
        yield stub, str(stub.server.make_url("")).rstrip("/")
    finally:
        stub.release.set()
        await stub.server.close()


async def told(stack: Stack, method: str, path: str, body: Any = None, token: str | None = ADMIN) -> tuple[int, Any]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    url = stack.gateway.make_url(f"/gateway/replicas{path}")
    async with stack.client.request(method, url, json=body, headers=headers) as response:
        return response.status, await response.json()


async def test_a_replica_that_registers_is_admitted_after_golden_answers_and_serves(tmp_path: Path) -> None:
    async with newcomer() as (stub, url), controlled(tmp_path, {}) as stack:
        stub.answer = "negative"
        registrar = Registrar(str(stack.gateway.make_url("")).rstrip("/"), REGISTER, name="new", url=url, lease_s=0.6)
        registrar.start()
        await stack.until(lambda s: "new" in s["replicas"])
        async with asyncio.timeout(10):
            while "golden_failed" not in await stack.kinds("new"):
                assert (await stack.served(1))[0][0] == 503
                await asyncio.sleep(0.02)
        assert stub.users_asked == 0
        stub.answer = "positive"
        await stack.until(lambda s: s["replicas"]["new"]["admitted"])
        assert await stack.served(1) == [(200, "new")]
        # The lease is over long since, had it not been renewed.
        await asyncio.sleep(1.0)
        assert "removed" not in await stack.kinds("new")
        await registrar.leave()
        assert (await stack.get("/gateway/state"))["replicas"] == {}


async def test_a_registered_replica_that_falls_silent_is_removed_and_one_of_the_command_line_stays(
    tmp_path: Path,
) -> None:
    async with newcomer() as (_, url), controlled(tmp_path) as stack:
        body = {"name": "new", "url": url, "lease_s": 0.5}
        assert await told(stack, "POST", "", body, REGISTER) == (
            200,
            {"name": "new", "lease_s": 0.5, "new": True, "admitted": False},
        )
        await stack.until(lambda s: s["replicas"]["new"]["admitted"])
        state = await stack.until(lambda s: "new" not in s["replicas"])
        assert set(state["replicas"]) == {"primary", "standby"}
        assert (await stack.kinds("new"))[-2:] == ["isolated", "removed"]


@pytest.mark.parametrize("token", [None, "wrong-token-of-many", ADMIN])
async def test_nobody_registers_without_the_token(token: str | None, tmp_path: Path) -> None:
    async with controlled(tmp_path) as stack:
        status, _ = await told(stack, "POST", "", {"name": "x", "url": "http://h:1", "lease_s": 5}, token)
        assert status == 401
        assert (await told(stack, "DELETE", "/primary", None, token))[0] == 401
        assert set((await stack.get("/gateway/state"))["replicas"]) == {"primary", "standby"}


async def test_without_the_options_the_paths_do_not_exist(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path) as stack:
        for method, path in (("POST", ""), ("DELETE", "/primary"), ("POST", "/primary/isolate")):
            assert (await told(stack, method, path))[0] == 404


async def test_who_guesses_tokens_is_locked_out(tmp_path: Path) -> None:
    async with controlled(tmp_path, login_failures=3) as stack:
        statuses = [(await told(stack, "POST", "/primary/isolate", {}, "guess-of-a-token-x"))[0] for _ in range(4)]
        assert statuses == [401, 401, 401, 429]
        assert (await told(stack, "POST", "/primary/isolate", {}))[0] == 429


async def test_a_supervisor_isolates_before_it_restarts_and_golden_answers_let_the_replica_back(
    tmp_path: Path,
) -> None:
    async with controlled(tmp_path) as stack:
        primary = stack.stubs["primary"]
        status, body = await told(stack, "POST", "/primary/isolate", {"reason": "restart"})
        assert (status, body["was_admitted"]) == (200, True)
        assert await stack.served(3) == [(200, "standby")] * 3
        # It is green all the while; only the restart, seen by another incarnation, ends the hold.
        await asyncio.sleep(0.3)
        state = (await stack.get("/gateway/state"))["replicas"]["primary"]
        assert not state["admitted"]
        assert 50 < state["held_for_s"] < 60
        assert state["lease_left_s"] is None
        primary.answer, primary.incarnation = "negative", "two"
        async with asyncio.timeout(10):
            while "golden_failed" not in await stack.kinds("primary"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert primary.users_asked == 0
        primary.answer = "positive"
        await stack.until(lambda s: s["active"] == "primary")
        kinds = [kind for kind in await stack.kinds("primary") if kind != "golden_failed"]
        assert kinds[-6:] == ["held", "isolated", "released", "ready_green", "readmitted", "active_changed"]


async def test_a_hold_ends_by_itself_when_the_supervisor_dies_and_by_release(tmp_path: Path) -> None:
    async with controlled(tmp_path) as stack:
        await told(stack, "POST", "/primary/isolate", {"for_s": 0.3})
        await stack.until(lambda s: s["active"] == "standby")
        await stack.until(lambda s: s["active"] == "primary")
        await told(stack, "POST", "/primary/isolate", {})
        await stack.until(lambda s: s["active"] == "standby")
        assert (await told(stack, "POST", "/primary/release"))[0] == 200
        await stack.until(lambda s: s["active"] == "primary")
        assert (await told(stack, "POST", "/primary/release"))[0] == 409


async def test_the_last_admitted_replica_is_isolated_only_on_purpose(tmp_path: Path) -> None:
    async with controlled(tmp_path, {"primary": Stub()}) as stack:
        status, body = await told(stack, "POST", "/primary/isolate", {})
        assert (status, body["error"]["code"]) == (409, "last_replica")
        assert (await told(stack, "POST", "/primary/isolate", {"even_last": True}))[0] == 200
        assert (await stack.served(1))[0][0] == 503
        assert (await told(stack, "POST", "/nobody/isolate", {}))[0] == 404


async def test_a_restart_that_nobody_announced_gets_no_user_before_golden_answers_are_right(tmp_path: Path) -> None:
    stubs = pair()
    async with controlled(tmp_path, stubs) as stack:
        port = stubs["primary"].server.port
        await stubs["primary"].server.close()
        reborn = Stub()
        reborn.answer, reborn.incarnation = "negative", "two"
        reborn.server = TestServer(reborn.server.app, port=port)
        await stack.until(lambda s: s["active"] == "standby")
        await reborn.server.start_server()
        try:
            async with asyncio.timeout(10):
                while (await stack.kinds("primary")).count("golden_failed") < 3:
                    assert (await stack.served(1))[0] == (200, "standby")
            assert reborn.users_asked == 0
            reborn.answer = "positive"
            await stack.until(lambda s: s["active"] == "primary")
            assert await stack.served(1) == [(200, "primary")]
        finally:
            await reborn.server.close()


@pytest.mark.parametrize(("golden_prompts", "expected"), [(3, "standby"), (0, "primary")])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_restart_faster_than_a_beat_gives_no_user_an_answer_that_nobody_verified(
    stream: bool, golden_prompts: int, expected: str, tmp_path: Path
) -> None:
    changes = {"golden_prompts": golden_prompts, "beat_s": 2.0, "hedge_after_s": 0.0 if stream else 1.0}
    async with gateway_before(pair(), tmp_path, **changes) as stack:
        stack.stubs["primary"].incarnation, stack.stubs["primary"].answer = "two", "negative"
        assert await stack.served(2) == [(200, expected)] * 2
        assert ("isolated" in await stack.kinds("primary")) is (golden_prompts > 0)
        state = await stack.get("/gateway/state")
        assert (state["retries_total"], state["outcomes"]) == (0, {"answered": 2})


async def test_a_restart_of_the_only_replica_is_a_503_until_it_is_verified(tmp_path: Path) -> None:
    async with gateway_before({"primary": Stub()}, tmp_path, beat_s=1.0) as stack:
        stack.stubs["primary"].incarnation = "two"
        assert (await stack.served(1))[0][0] == 503
        await stack.until(lambda s: s["active"] == "primary")
        assert await stack.served(1) == [(200, "primary")]


async def test_replicas_that_are_set_up_otherwise_are_an_event_and_show_in_the_state(tmp_path: Path) -> None:
    stubs = pair()
    stubs["primary"].config_version = stubs["standby"].config_version = "aaaa"
    async with gateway_before(stubs, tmp_path) as stack:
        assert (await stack.get("/gateway/state"))["replicas"]["standby"]["config_differs"] is False
        stubs["standby"].config_version = "bbbb"
        state = await stack.until(lambda s: s["replicas"]["standby"]["config_differs"])
        assert state["replicas"]["primary"]["config_differs"] is False
        stubs["standby"].config_version = "aaaa"
        await stack.until(lambda s: not s["replicas"]["standby"]["config_differs"])
        assert (await stack.kinds("standby"))[-2:] == ["config_differs", "config_same_again"]


async def test_a_cookie_of_a_replica_goes_to_its_user_and_to_nobody_else(tmp_path: Path) -> None:
    async with newcomer() as (stub, url), controlled(tmp_path, {}) as stack:
        stub.status, stub.headers = 201, {"Set-Cookie": "session=theirs"}
        # By name: a jar takes no cookies from bare addresses.
        body = {"name": "new", "url": url.replace("127.0.0.1", "localhost"), "lease_s": 60}
        assert (await told(stack, "POST", "", body, REGISTER))[0] == 200
        await stack.until(lambda s: s["replicas"]["new"]["admitted"])
        async with stack.chat() as response:
            assert response.headers["Set-Cookie"] == "session=theirs"
        await stack.served(1)
        assert "Cookie" not in stub.seen
