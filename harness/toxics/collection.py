"""All proxies of a server. Names are looked up before anything is changed, so no change is seen half done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.toxics import go_json
from harness.toxics.errors import ApiError, missing
from harness.toxics.listen import ListenError, resolve
from harness.toxics.proxy import Proxy, World
from harness.toxics.reading import view

__all__ = ["Collection", "PopulateError", "proxy_view"]


class PopulateError(Exception):
    """Populate failed; some proxies may have been created before."""

    def __init__(self, error: ApiError, proxies: list[Proxy] | None) -> None:
        super().__init__(str(error))
        self.status = error.status
        self.proxies = proxies


@dataclass(frozen=True)
class _Wanted:
    name: str
    listen: str
    upstream: str
    enabled: bool

    @staticmethod
    def read(body: Any, before: _Wanted) -> _Wanted:
        fields = go_json.mapping(body, "value of type toxiproxy.Proxy")
        return _Wanted(
            go_json.string(fields, "name", before.name),
            go_json.string(fields, "listen", before.listen),
            go_json.string(fields, "upstream", before.upstream),
            go_json.boolean(fields, "enabled", before.enabled),
        )


_NEW = _Wanted("", "", "", enabled=True)


class Collection:
    """By name, in the order in which they were made."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.proxies: dict[str, Proxy] = {}

    def get(self, name: str) -> Proxy:
        try:
            return self.proxies[name]
        except KeyError:
            raise ApiError(404, "proxy not found") from None

    async def create(self, body: Any) -> Proxy:
        wanted = _Wanted.read(body, _NEW)
        for field in ("name", "upstream"):
            if not getattr(wanted, field):
                raise missing(field)
        if wanted.name in self.proxies:
            raise ApiError(409, "proxy already exists")
        proxy = Proxy(self.world, wanted.name, wanted.listen, wanted.upstream)
        if wanted.enabled:
            try:
                bind = await resolve(wanted.listen)
                if wanted.name in self.proxies:
                    raise ApiError(409, "proxy already exists")
                proxy.start(bind)
            except ListenError as error:
                raise _cannot_listen(error) from None
        self.proxies[wanted.name] = proxy
        return proxy

    async def update(self, proxy: Proxy, body: Any) -> None:
        """A different place to listen, or upstream, ends the connections; so does being disabled."""
        wanted = _Wanted.read(body, _Wanted(proxy.name, proxy.listen, proxy.upstream, proxy.enabled))
        try:
            bind = await resolve(wanted.listen)
            if proxy.differs(bind, wanted.upstream):
                proxy.stop()
                proxy.listen, proxy.upstream = wanted.listen, wanted.upstream
            if wanted.enabled and not proxy.enabled:
                proxy.start(bind)
            elif proxy.enabled and not wanted.enabled:
                proxy.stop()
        except ListenError as error:
            raise ApiError(500, str(error)) from None

    def delete(self, proxy: Proxy) -> None:
        proxy.stop()
        self.proxies.pop(proxy.name, None)

    async def populate(self, body: Any) -> list[Proxy]:
        """Make each proxy unless it is there with the same addresses. Raises PopulateError."""
        try:
            wanted = [_Wanted.read(one, _NEW) for one in go_json.sequence(body)]
        except go_json.BadBody as error:
            raise PopulateError(ApiError(400, f"bad request body: {error}"), None) from None
        for number, one in enumerate(wanted, 1):
            for field in ("name", "upstream"):
                if not getattr(one, field):
                    raise PopulateError(missing(f"{field} at proxy {number}"), None)
        done: list[Proxy] = []
        for one in wanted:
            try:
                done.append(await self._add_or_replace(one))
            except ListenError as error:
                raise PopulateError(_cannot_listen(error), done) from None
        return done

    async def _add_or_replace(self, wanted: _Wanted) -> Proxy:
        existing = self.proxies.get(wanted.name)
        bind = await resolve(wanted.listen) if wanted.enabled or existing is not None else None
        if existing is not None and bind is not None:
            if not existing.differs(bind, wanted.upstream):
                return existing
            existing.stop()
        proxy = Proxy(self.world, wanted.name, wanted.listen, wanted.upstream)
        if wanted.enabled:
            assert bind is not None
            proxy.start(bind)
        self.proxies[wanted.name] = proxy
        return proxy

    async def reset(self) -> None:
        """Enable every proxy and remove all toxics; stops at the first that cannot listen."""
        for proxy in list(self.proxies.values()):
            if not proxy.enabled:
                try:
                    bind = await resolve(proxy.listen)
                    if self.proxies.get(proxy.name) is proxy:
                        proxy.start(bind)
                except ListenError as error:
                    raise _cannot_listen(error) from None
            proxy.toxics.clear()

    def close(self) -> None:
        for proxy in self.proxies.values():
            proxy.stop()


def proxy_view(proxy: Proxy) -> dict[str, Any]:
    """As clients see it, toxics included."""
    return proxy.view() | {"toxics": [view(toxic) for toxic in proxy.toxics.listed()]}


def _cannot_listen(error: ListenError) -> ApiError:
    text = str(error)
    return ApiError(500, text if text.startswith("listen tcp") else f"listen tcp: {text}")
