"""What users of a service ask beside /v1 is relayed like a chat; a replica's own business is not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from target_service.protocol.paths import USER_PATHS
from tests.target_service.gateway.stub_replicas import Stack, gateway_before, pair

pytestmark = pytest.mark.process


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    async def echo(request: web.Request) -> web.Response:
        return web.json_response({"path": request.path, "body": await request.json()}, status=422)

    stubs = pair()
    for stub in stubs.values():
        for path in (*USER_PATHS, "/faults/crash", "/api/other"):
            stub.server.app.router.add_post(path, echo)
    async with gateway_before(stubs, tmp_path) as made:
        yield made


@pytest.mark.parametrize("path", USER_PATHS)
async def test_a_services_request_and_its_refusal_pass(stack: Stack, path: str) -> None:
    async with stack.client.post(stack.gateway.make_url(path), json={"features": "x"}) as response:
        assert response.status == 422 and response.headers["X-Served-By"] == "primary"
        assert await response.json() == {"path": path, "body": {"features": "x"}}


@pytest.mark.parametrize("path", ["/faults/crash", "/api/other"])
async def test_nothing_else_passes(stack: Stack, path: str) -> None:
    async with stack.client.post(stack.gateway.make_url(path), json={}) as response:
        assert response.status == 404
