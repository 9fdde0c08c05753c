"""The HTTP API: which path and method does what, and the conventions that all answers share."""

from __future__ import annotations

import asyncio
import secrets
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from harness.toxics import go_json
from harness.toxics.collection import Collection, PopulateError, proxy_view
from harness.toxics.errors import ApiError, bad_body
from harness.toxics.kinds.table import KINDS
from harness.toxics.metrics import runtime_text
from harness.toxics.proxy import Proxy
from harness.toxics.reading import change_toxic, new_toxic, view
from harness.toxics.toxic import Toxic

__all__ = ["VERSION", "Api", "Options"]

VERSION = "2.12.0"  # the official release that is followed
LONGEST_S = 25.0  # of one request
_TIMED_OUT = "<html><head><title>Timeout</title></head><body><h1>Timeout</h1></body></html>"
_JSON = "application/json"

Names = tuple[str, ...]
Handler = Callable[[Names, bytes], Awaitable[web.Response]]


@dataclass(frozen=True)
class Options:
    """What the flags say about the API."""

    proxy_metrics: bool = False
    runtime_metrics: bool = False
    instance: str = ""  # shown at /harness, so that a client knows whose server it speaks to


class Api:
    """Answers one request after the other; nothing here waits for a connection."""

    def __init__(self, collection: Collection, options: Options) -> None:
        self._all = collection
        self._options = options
        self._routes = self._table()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer any request: 404, then 405, then 403, then what it asks for."""
        found = self._find(request.raw_path.partition("?")[0])
        if found is None:
            return _plain(404, "404 page not found\n")
        methods, names = found
        handler = methods.get(request.method, methods.get("*"))
        if handler is None:
            return web.Response(status=405)
        if request.headers.get("User-Agent", "").startswith("Mozilla/"):
            answer = _plain(403, "User agent not allowed\n")
        else:
            answer = await self._answer(request, handler, names)
        answer.headers["X-Toxiproxy-Request-Id"] = secrets.token_hex(10)
        return answer

    async def _answer(self, request: web.BaseRequest, handler: Handler, names: Names) -> web.Response:
        try:
            async with asyncio.timeout(LONGEST_S):
                return await handler(names, await request.read())
        except go_json.BadBody as error:
            return _error(bad_body(error))
        except ApiError as error:
            return _error(error)
        except web.HTTPException as error:  # a body that is too large
            return _error(ApiError(error.status, error.reason))
        except (ValueError, HttpProcessingError) as error:  # a body that does not end as it promised
            return _error(bad_body(error))
        except TimeoutError:
            return web.Response(status=503, text=_TIMED_OUT, content_type="text/html")
        except Exception as error:  # noqa: BLE001  a defect of ours ends one request, not the server
            traceback.print_exc()
            return _error(ApiError(500, f"{type(error).__name__}: {error}"))

    def _find(self, path: str) -> tuple[Mapping[str, Handler], Names] | None:
        parts = path.split("/")[1:]
        for pattern, methods in self._routes:
            if len(pattern) == len(parts) and all(
                part if want == "*" else part == want for want, part in zip(pattern, parts, strict=True)
            ):
                names = [unquote(part) for want, part in zip(pattern, parts, strict=True) if want == "*"]
                return methods, tuple(names)
        return None

    def _table(self) -> list[tuple[tuple[str, ...], Mapping[str, Handler]]]:
        routes: list[tuple[tuple[str, ...], Mapping[str, Handler]]] = [
            (("proxies",), {"GET": self._proxies, "POST": self._create}),
            (("populate",), {"POST": self._populate}),
            (("reset",), {"POST": self._reset}),
            (("version",), {"GET": self._version}),
            (("harness",), {"GET": self._harness}),
            (
                ("proxies", "*"),
                {"GET": self._proxy, "PATCH": self._update, "POST": self._update, "DELETE": self._delete},
            ),
            (("proxies", "*", "toxics"), {"GET": self._toxics, "POST": self._add_toxic}),
            (
                ("proxies", "*", "toxics", "*"),
                {
                    "GET": self._toxic,
                    "PATCH": self._change_toxic,
                    "POST": self._change_toxic,
                    "DELETE": self._remove_toxic,
                },
            ),
        ]
        if self._options.proxy_metrics or self._options.runtime_metrics:
            routes.append((("metrics",), {"*": self._metrics}))
        return routes

    async def _proxies(self, names: Names, body: bytes) -> web.Response:
        return _json(200, {name: proxy_view(proxy) for name, proxy in sorted(self._all.proxies.items())})

    async def _create(self, names: Names, body: bytes) -> web.Response:
        return _json(201, proxy_view(await self._all.create(go_json.parse(body))))

    async def _populate(self, names: Names, body: bytes) -> web.Response:
        try:
            try:
                parsed = go_json.parse(body)
            except go_json.BadBody as error:
                raise PopulateError(bad_body(error), None) from None
            proxies = await self._all.populate(parsed)
        except PopulateError as error:
            created = [proxy_view(proxy) for proxy in error.proxies] if error.proxies else None
            return _json(error.status, {"error": str(error), "status": error.status, "proxies": created})
        return _json(201, {"proxies": [proxy_view(proxy) for proxy in proxies] or None})

    async def _reset(self, names: Names, body: bytes) -> web.Response:
        await self._all.reset()
        return web.Response(status=204)

    async def _version(self, names: Names, body: bytes) -> web.Response:
        text = f'{{"version": "{VERSION}"}}\n'
        return web.Response(text=text, headers={"Content-Type": "application/json;charset=utf-8"})

    async def _harness(self, names: Names, body: bytes) -> web.Response:
        """Not in the official server: which server this is, and what it can do beyond that one."""
        extra = sorted(kind.name for kind in KINDS.values() if not kind.official)
        return _json(200, {"instance": self._options.instance, "toxics": extra, "toxicity_per": ["request"]})

    async def _metrics(self, names: Names, body: bytes) -> web.Response:
        text = ""
        if self._options.runtime_metrics:
            text += runtime_text()
        if self._options.proxy_metrics:
            text += self._all.world.metrics.text()
        return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _proxy(self, names: Names, body: bytes) -> web.Response:
        return _json(200, proxy_view(self._all.get(names[0])))

    async def _update(self, names: Names, body: bytes) -> web.Response:
        proxy = self._all.get(names[0])
        await self._all.update(proxy, go_json.parse(body))
        return _json(200, proxy_view(proxy))

    async def _delete(self, names: Names, body: bytes) -> web.Response:
        self._all.delete(self._all.get(names[0]))
        return web.Response(status=204)

    async def _toxics(self, names: Names, body: bytes) -> web.Response:
        return _json(200, [view(toxic) for toxic in self._all.get(names[0]).toxics.listed()])

    async def _add_toxic(self, names: Names, body: bytes) -> web.Response:
        toxics = self._all.get(names[0]).toxics
        toxic = new_toxic(go_json.parse(body), {one.name for one in toxics.listed()})
        toxics.add(toxic)
        return _json(200, view(toxic))

    async def _toxic(self, names: Names, body: bytes) -> web.Response:
        return _json(200, view(self._named(names)[1]))

    async def _change_toxic(self, names: Names, body: bytes) -> web.Response:
        proxy, toxic = self._named(names)
        change_toxic(toxic, go_json.parse(body))
        proxy.toxics.change(toxic)
        return _json(200, view(toxic))

    async def _remove_toxic(self, names: Names, body: bytes) -> web.Response:
        proxy, toxic = self._named(names)
        proxy.toxics.remove(toxic)
        return web.Response(status=204)

    def _named(self, names: Names) -> tuple[Proxy, Toxic]:
        proxy = self._all.get(names[0])
        toxic = proxy.toxics.get(names[1])
        if toxic is None:
            raise ApiError(404, "toxic not found")
        return proxy, toxic


def _json(status: int, value: Any) -> web.Response:
    return web.Response(status=status, body=go_json.dump(value).encode(), content_type=_JSON)


def _plain(status: int, text: str) -> web.Response:
    headers = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
    return web.Response(status=status, text=text, headers=headers)


def _error(error: ApiError) -> web.Response:
    return _plain(error.status, go_json.dump({"error": str(error), "status": error.status}) + "\n")
