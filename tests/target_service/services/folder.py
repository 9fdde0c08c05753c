"""A model folder served in this process: loaded, checked and on a socket as a replica does it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from target_service.replica.app import make_app
from target_service.replica.faults import Faults
from target_service.replica.settings import HttpSettings, parse_arguments
from target_service.replica.startup import identify, start_serving
from target_service.replica.state import ReplicaState
from target_service.services.choice import service_of, splitter_of


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[TestClient[Any, Any], ReplicaState]]:
    settings = parse_arguments(["--model", str(folder), "--port", "1", "--token-cost-ms", "0"])
    serving, service = start_serving(settings, Faults()), service_of(folder)
    state = ReplicaState("primary", identify(folder).model, service=service, splitter=splitter_of(folder, service))
    state.serving, state.folder = serving, folder
    client = TestClient(TestServer(make_app(state, HttpSettings(), Faults())))
    await client.start_server()
    try:
        yield client, state
    finally:
        await client.close()
        serving.engine.stop()
