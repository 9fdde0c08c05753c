"""The server that the cases are held against: the one at TOXIPROXY_URL, or ours in this very process."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from harness.toxics.server import Settings, running
from tests.toxics.client import Client
from tests.toxics.upstreams import Upstream

URL = os.environ.get("TOXIPROXY_URL")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if URL:
        for item in items:
            if "conformance" in item.path.parts and not item.get_closest_marker("official"):
                item.add_marker(pytest.mark.skip(reason="not for the official server, some of it would crash it"))


@pytest.fixture
async def api() -> AsyncIterator[Client]:
    """A client of the server; what a test made there is gone afterwards."""
    if URL:
        async with Client(URL) as client:
            yield client
            await client.clean()
    else:
        async with running(Settings(port=0, seed=1)) as (_, port), Client(f"http://127.0.0.1:{port}") as client:
            yield client


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """It answers with what it gets, until a test says otherwise."""
    async with Upstream() as one:
        yield one
