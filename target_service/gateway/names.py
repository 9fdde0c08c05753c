"""Addresses of replicas that are known by name: the last known one, while nobody can say what a name's address is.

Serving stale answers is RFC 8767. Only "I cannot tell" keeps an address: a name server that says that there is no such
name is believed at once.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from target_service.gateway.events import EventLog
from target_service.gateway.settings import GatewaySettings

__all__ = ["LastKnown", "OwnThreads", "StaleRules", "connector", "make_resolver"]

log = logging.getLogger(__name__)

# How long a connector asks nobody again: aiohttp's own default.
FRESH_S = 10
# Replicas that register may bring a new name each time; the one that was resolved the longest ago is forgotten.
NAMES_MAX = 1000
LOOKUPS_MAX = 16
NO_SUCH_NAME = frozenset({socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY})

_Name = tuple[str, int, socket.AddressFamily]


@dataclass(frozen=True)
class StaleRules:
    """An address is used for `stale_s` after it was last seen; `wait_s` is how long a look-up may take until then."""

    stale_s: float
    wait_s: float


@dataclass(frozen=True)
class _Known:
    addresses: tuple[ResolveResult, ...]
    at_s: float


class LastKnown(AbstractResolver):
    """Asks `resolver`, and answers with what it said last while it cannot tell or takes too long."""

    def __init__(
        self,
        resolver: AbstractResolver,
        rules: StaleRules,
        events: EventLog,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolver = resolver
        self._rules = rules
        self._events = events
        self._clock = clock
        self._known: OrderedDict[_Name, _Known] = OrderedDict()
        self._under_way: dict[_Name, asyncio.Task[list[ResolveResult] | OSError]] = {}
        self._kept: set[str] = set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a host; raises OSError when none is known, or the last known ones are too old."""
        name = host, port, family
        # One look-up of a name at a time: where questions vanish, each holds a thread for many seconds.
        looking = self._under_way.get(name)
        if looking is None:
            looking = self._under_way[name] = asyncio.create_task(self._look(name))
        await asyncio.wait({looking}, timeout=self._rules.wait_s if self._stale(name) else None)
        found = looking.result() if looking.done() else TimeoutError(f"no answer in {self._rules.wait_s:g} s")
        if not isinstance(found, OSError):
            return found
        stale = self._stale(name)
        if stale is None:
            raise found
        if host not in self._kept:
            self._kept.add(host)
            self._events.add("address_kept", None, host=host, reason=str(found))
            log.warning("%s cannot be resolved, its last known address is kept: %s", host, found)
        return list(stale.addresses)

    async def close(self) -> None:
        """Give up what is being looked up."""
        for looking in self._under_way.values():
            looking.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
        await self._resolver.close()

    def _stale(self, name: _Name) -> _Known | None:
        known = self._known.get(name)
        return known if known is not None and self._clock() - known.at_s <= self._rules.stale_s else None

    async def _look(self, name: _Name) -> list[ResolveResult] | OSError:
        try:
            found = await self._resolver.resolve(*name)
        except OSError as error:
            if isinstance(error, socket.gaierror) and error.errno in NO_SUCH_NAME:
                self._known.pop(name, None)
            return error
        finally:
            del self._under_way[name]
        self._known[name] = _Known(tuple(found), self._clock())
        self._known.move_to_end(name)
        if len(self._known) > NAMES_MAX:
            self._known.popitem(last=False)
        if name[0] in self._kept:
            self._kept.discard(name[0])
            self._events.add("address_resolved_again", None, host=name[0])
        return found


class OwnThreads(AbstractResolver):
    """Asks the system, each time in a thread that nobody waits for at the end.

    uvloop needs a thread of libuv's pool for every connection that it makes, and the pool has two for what may be slow:
    two look-ups that get no answer there would stop all new connections for ten seconds.
    """

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(LOOKUPS_MAX)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a host, as numbers; raises OSError."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[ResolveResult] | OSError] = loop.create_future()

        def settle(said: list[ResolveResult] | OSError) -> None:
            if not answer.done():
                answer.set_result(said)

        def ask() -> None:
            said = _asked(host, port, family)
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(settle, said)

        async with self._free:
            threading.Thread(target=ask, name=f"resolve {host}", daemon=True).start()
            said = await answer
        if isinstance(said, OSError):
            raise said
        return said

    async def close(self) -> None:
        """Nothing is kept open."""


def _asked(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult] | OSError:
    try:
        found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        return [_result(host, port, kind, proto, address) for kind, _, proto, _, address in found]
    except OSError as error:
        return error
    except UnicodeError as error:  # no host can have such a name
        return socket.gaierror(socket.EAI_NONAME, str(error))


def _result(host: str, port: int, family: int, proto: int, address: Any) -> ResolveResult:
    # With the interface of a link-local address.
    number, _ = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=number, port=port, family=family, proto=proto, flags=flags)


def make_resolver(settings: GatewaySettings, events: EventLog) -> LastKnown | None:
    """None when the settings keep no address; needs a running loop."""
    if not settings.stale_address_s:
        return None
    # Half of a beat's time is left for the beat itself.
    rules = StaleRules(settings.stale_address_s, wait_s=settings.beat_timeout_s / 2)
    return LastKnown(OwnThreads(), rules, events)


def connector(resolver: AbstractResolver | None, *, force_close: bool = False) -> aiohttp.TCPConnector:
    """Any number of connections to replicas; without a resolver aiohttp's own is asked."""
    return aiohttp.TCPConnector(limit=0, force_close=force_close, resolver=resolver, ttl_dns_cache=FRESH_S)
