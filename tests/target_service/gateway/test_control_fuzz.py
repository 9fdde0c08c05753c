"""Whatever comes to the gateway's own paths: an answer below 500 with an error body, and nobody's standing changed."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.target_service.gateway.stub_replicas import Stack
from tests.target_service.gateway.test_control_served import ADMIN, REGISTER, controlled, told

pytestmark = pytest.mark.process

GOOD = {"name": "new", "url": "http://127.0.0.1:9", "lease_s": 5}
ODD: list[Any] = [
    None, True, -1, 0, 1e308, 10**400, float("nan"), float("inf"), "", " ", "x" * 5000, "\ud800", "\x00", "a/b",
    "../..", [], {}, [[]], {"a": 1}, "http://", "http://h", "http://h:99999", "http://u:p@h:1", "http://h:1/v1?x#y", "ftp://h:1",
    "http://h:1\r\nX: y", "http://[::1", "http://ключ:1", "5",
]  # fmt: skip
KEYS = ["name", "url", "lease_s", "weight", "backup", "reason", "for_s", "even_last", "other", "", "\ud800" * 60]
TEXTS = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b"1",
    b"[" * 50_000,
    b'{"a":' * 20_000,
    b'{"name": "new",}',
    b"x" * 10**5,
]
PATHS = [
    "",
    "/primary",
    "/primary/isolate",
    "/primary/release",
    "/nobody/isolate",
    "/%2e%2e/isolate",
    "/%00",
    "/" + "x" * 4000,
]


async def sent(stack: Stack, method: str, path: str, body: bytes, token: str) -> tuple[int, bytes]:
    url = str(stack.gateway.make_url("/gateway/replicas")) + path
    async with stack.client.request(method, url, data=body, headers={"Authorization": f"Bearer {token}"}) as response:
        return response.status, await response.read()


async def checked(stack: Stack, method: str, path: str, body: bytes, token: str) -> int:
    status, answer = await sent(stack, method, path, body, token)
    assert status < 500, (method, path, body[:200], answer)
    if status >= 400 and method != "HEAD":
        assert json.loads(answer)["error"]["message"], (method, path, body[:200])
    return status


@pytest.mark.parametrize("key", ["name", "url", "lease_s", "weight", "backup", "other"])
async def test_no_odd_value_of_a_registration_is_more_than_a_bad_request(key: str, tmp_path: Path) -> None:
    async with controlled(tmp_path) as stack:
        for odd in ODD:
            body = json.dumps(GOOD | {key: odd}).encode()
            status = await checked(stack, "POST", "", body, REGISTER)
            good = (key, repr(odd)) in {("name", "'5'"), ("name", "'x'"), ("backup", "True")}
            assert status == (200 if good else 400), (key, odd)
            if good:
                await told(stack, "DELETE", f"/{(GOOD | {key: odd})['name']}", None, REGISTER)
        assert set((await stack.get("/gateway/state"))["replicas"]) == {"primary", "standby"}


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
async def test_no_body_makes_a_5xx_on_any_path_by_any_method(text: bytes, tmp_path: Path) -> None:
    async with controlled(tmp_path, login_failures=0) as stack:
        for path in PATHS:
            for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
                for token in (REGISTER, ADMIN):
                    await checked(stack, method, path, text, token)
        assert set((await stack.get("/gateway/state"))["replicas"]) == {"primary", "standby"}
        # Whatever was isolated by a good request is back by itself or by release; nobody is dead.
        await told(stack, "POST", "/primary/release")
        await stack.until(lambda s: s["replicas"]["primary"]["admitted"] and s["replicas"]["standby"]["admitted"])
        assert (await stack.served(1))[0][0] == 200


@pytest.mark.parametrize("seed", range(4))
async def test_objects_drawn_at_random_never_kill_and_never_hurt_the_replicas_of_the_command_line(
    seed: int, tmp_path: Path
) -> None:
    rng = random.Random(seed)
    async with controlled(tmp_path, login_failures=0) as stack:
        for _ in range(150):
            body = {key: rng.choice([*ODD, *GOOD.values()]) for key in rng.sample(KEYS, rng.randrange(len(KEYS)))}
            path, method = rng.choice(PATHS), rng.choice(["POST", "POST", "DELETE"])
            await checked(stack, method, path, json.dumps(body).encode(), rng.choice([REGISTER, ADMIN, "wrong"]))
        assert {"primary", "standby"} <= set((await stack.get("/gateway/state"))["replicas"])
        await told(stack, "POST", "/primary/release")
        await stack.until(lambda s: s["replicas"]["primary"]["admitted"])
        assert await stack.served(1) == [(200, "primary")]
