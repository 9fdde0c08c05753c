"""The server that the cases are held against: the one at TOXIPROXY_URL, or ours in this very process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

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
def server_url() -> Iterator[str]:
    """Of a server in a process of its own, for clients that block."""
    if URL:
        yield URL
        return
    command = [sys.executable, "-m", "harness.toxics", "-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield f"http://127.0.0.1:{json.loads(server.stdout.readline())['port']}"
        finally:
            server.kill()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """It answers with what it gets, until a test says otherwise."""
    async with Upstream() as one:
        yield one
