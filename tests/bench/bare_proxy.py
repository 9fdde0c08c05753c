"""The least that a proxy of aiohttp does; no gateway on it can do less: `python -m tests.bench.bare_proxy PORT URL`."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import aiohttp
import uvloop
from aiohttp import web

SESSION = web.AppKey("session", aiohttp.ClientSession)


async def _pass_on(request: web.Request) -> web.Response:
    body = await request.read()
    headers = {"Content-Type": request.headers["Content-Type"]}
    async with request.app[SESSION].post(request.path, data=body, headers=headers) as answer:
        kept = {"Content-Type": answer.headers["Content-Type"]}
        return web.Response(body=await answer.read(), status=answer.status, headers=kept)


async def _ready(_: web.Request) -> web.Response:
    return web.Response(text="ready")


def _app(url: str) -> web.Application:
    async def session(app: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(url) as app[SESSION]:
            yield

    app = web.Application()
    app.cleanup_ctx.append(session)
    app.router.add_post("/v1/chat/completions", _pass_on)
    app.router.add_get("/ready", _ready)
    return app


if __name__ == "__main__":
    uvloop.install()
    web.run_app(_app(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
