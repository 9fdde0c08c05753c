"""The whole server: proxies, API, configuration file; until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from harness.toxics import go_json
from harness.toxics.api import Api, Options
from harness.toxics.collection import Collection, PopulateError
from harness.toxics.connection import Policy
from harness.toxics.proxy import World
from harness.toxics.timing import Alarms

__all__ = ["Settings", "log", "running", "serve"]

API_ENDS_WITHIN_S = 1.0  # answers that are under way when the server stops
IDLE_S = 60  # a client's API connection
LARGEST_BODY = 16 * 1024 * 1024  # bytes


@dataclass(frozen=True)
class Settings:
    """What the flags say."""

    host: str = "localhost"
    port: int | None = 8474  # None: no API
    config: str = ""
    seed: int = 0
    policy: Policy = field(default_factory=Policy)
    options: Options = field(default_factory=Options)
    proxies: tuple[tuple[str, str, str], ...] = ()  # name, listen, upstream of those that are there from the beginning


def log(level: str, message: str, **more: object) -> None:
    """One line of JSON on the standard output, as the official server writes it."""
    print(json.dumps({"level": level, **more, "message": message}), flush=True)  # noqa: T201


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[tuple[Collection, int | None]]:
    """The proxies and the API's port. Raises OSError when the API cannot listen, ApiError when a proxy cannot."""
    loop = asyncio.get_running_loop()
    world = World(loop, Alarms(loop), settings.seed, settings.policy)
    collection = Collection(world)
    http = listener = None
    try:
        for name, listen, upstream in settings.proxies:
            await collection.create({"name": name, "listen": listen, "upstream": upstream})
        port = None
        if settings.port is not None:
            api = Api(collection, settings.options)
            http = web.Server(api.handle, request_factory=_request, access_log=None, keepalive_timeout=IDLE_S)
            listener = await loop.create_server(http, _ip(settings.host), settings.port)
            port = listener.sockets[0].getsockname()[1]
        if settings.config:
            await populate_from(collection, settings.config)
        yield collection, port
    finally:
        collection.close()
        if listener is not None:
            listener.close()
        if http is not None:
            await http.shutdown(API_ENDS_WITHIN_S)
        world.alarms.close()


async def populate_from(collection: Collection, path: str) -> None:
    """The configuration file is a populate request; what is wrong with it is logged and the server goes on."""
    try:
        proxies = await collection.populate(go_json.parse(_read(path)))
    except (OSError, go_json.BadBody, PopulateError) as error:
        log("error", "Failed to populate proxies from file", config=path, error=str(error))
    else:
        log("info", "Populated proxies from file", config=path, proxies=len(proxies))


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    """As aiohttp makes them, but for bodies as large as a long populate."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=LARGEST_BODY)


def _read(path: str) -> bytes:
    return Path(path).read_bytes()


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run until `stop`. Raises as `running` does."""
    raise_descriptor_limit()
    gc.freeze()  # what was imported stays
    gc.set_threshold(50_000, 50, 50)  # connections make no cycles that matter, and a full collection halts all of them
    async with running(settings) as (collection, port):
        for proxy in collection.proxies.values():
            log("info", "Started proxy", proxy=proxy.name, listen=proxy.listen, upstream=proxy.upstream)
        if port is not None:
            log("info", "Starting Toxiproxy HTTP server", host=settings.host, port=port, seed=settings.seed)
        await stop.wait()


def raise_descriptor_limit() -> None:
    """Each connection takes two descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _ip(host: str) -> str:
    return "127.0.0.1" if host == "localhost" else host
