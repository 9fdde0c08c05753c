"""Which connections to replicas serve more than once."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web

from tests.target_service.gateway.stub_replicas import Stub, gateway_before, pair

pytestmark = pytest.mark.process


def ports_of(stub: Stub) -> dict[str, list[int]]:
    """Path -> the peer's port of each of its requests, in order, from now on."""
    seen: dict[str, list[int]] = {}

    async def note(request: web.Request, _: web.StreamResponse) -> None:
        assert request.transport is not None
        seen.setdefault(request.path, []).append(request.transport.get_extra_info("peername")[1])

    stub.server.app.on_response_prepare.append(note)
    return seen


@pytest.mark.parametrize(
    ("reuse", "users", "beats"),
    [("users", True, False), ("beats", False, True), ("all", True, True), ("none", False, False)],
)
async def test_users_and_beats_open_a_connection_each_or_share_one(
    reuse: str, tmp_path: Path, *, users: bool, beats: bool
) -> None:
    stubs = pair()
    seen = ports_of(stubs["primary"])
    async with gateway_before(stubs, tmp_path, reuse_connections=reuse, beat_s=0.02) as stack:
        assert await stack.served(4) == [(200, "primary")] * 4
        await stack.until(lambda _: len(seen["/ready"]) > 4)
    asked = seen["/v1/chat/completions"][-4:]
    assert len(set(asked)) == (1 if users else 4)
    assert (len(set(seen["/ready"])) == 1) is beats
