"""Which replicas a gateway has: those of its command line, and those that registered themselves.

A registered replica is admitted as every other one is: after golden answers. When its lease runs out it is removed,
but never the last one that is admitted: what broke may be the registering, and users have nothing else. It goes as
soon as another is admitted, or it misses its beats.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from target_service.gateway.admission import Admission
from target_service.gateway.breaker import Breaker
from target_service.gateway.dispatch import Dispatcher
from target_service.gateway.events import EventLog
from target_service.gateway.leases import Leases
from target_service.gateway.monitor import Monitor
from target_service.gateway.settings import ReplicaAddress
from target_service.protocol.errors import RequestRejectedError

__all__ = ["Members"]

REGISTERED_MAX = 64
EXPIRE_LOOK_S = 0.1


class Members:
    """Adds and removes replicas everywhere at once; `make_breaker` makes one for a new replica, or None."""

    def __init__(
        self,
        admission: Admission,
        dispatcher: Dispatcher,
        monitor: Monitor,
        events: EventLog,
        make_breaker: Callable[[str], Breaker | None],
    ) -> None:
        self.breakers: Mapping[str, Breaker] = dispatcher.breakers
        self._admission = admission
        self._dispatcher = dispatcher
        self._monitor = monitor
        self._events = events
        self._make_breaker = make_breaker
        self._leases = Leases()
        self._kept: set[str] = set()

    def lease_until_s(self, name: str) -> float | None:
        """When a replica's lease runs out; None: it has none, and stays."""
        return self._leases.until_s(name)

    def body(self, name: str) -> dict[str, object]:
        """Where one replica is, and what else is known of it, as JSON keys."""
        return {
            "url": self._dispatcher.replicas[name].url,
            "breaker": self.breakers[name].body() if name in self.breakers else None,
            **self._monitor.configurations.body(name),
        }

    def register(self, replica: ReplicaAddress, lease_s: float, now_s: float) -> bool:
        """Add a replica, or renew its lease; whether it is new. Raises RequestRejectedError when its name is taken."""
        known = self._dispatcher.replicas.get(replica.name)
        if known is not None and replica.name not in self._leases:
            raise _taken(replica, "is on the gateway's command line")
        new = known != replica
        if known is not None and new:
            if (self._leases.until_s(replica.name) or now_s) > now_s:
                raise _taken(replica, "has a lease with another address, weight or mark")
            self._remove(replica.name, "its name is registered anew")
        if new:
            self._add(replica)
        self._leases.renew(replica.name, now_s + lease_s)
        self._kept.discard(replica.name)
        return new

    def deregister(self, name: str) -> None:
        """Remove a replica that says that it goes, also the last one."""
        if name not in self._leases:
            raise RequestRejectedError(404, f"{name!r} is not registered.", code="not_registered")
        self._remove(name, "deregistered")

    def expire(self, now_s: float) -> None:
        """Remove those whose lease has run out, but not the last one that is admitted."""
        for name in self._leases.lapsed(now_s):
            if self._admission.admitted != [name]:
                self._remove(name, "its lease ran out")
            elif name not in self._kept:
                self._kept.add(name)
                self._events.add("lease_kept", name, reason="its lease ran out, but no other replica is admitted")

    async def expire_for_ever(self) -> None:
        """Look after the leases until cancelled."""
        while True:
            await asyncio.sleep(EXPIRE_LOOK_S)
            self.expire(time.monotonic())

    def _add(self, replica: ReplicaAddress) -> None:
        if len(self._leases) >= REGISTERED_MAX:
            raise RequestRejectedError(409, f"{REGISTERED_MAX} replicas are registered already.", code="too_many")
        self._events.add("registered", replica.name, url=replica.url)
        self._admission.add(replica.name, backup=replica.backup)
        self._dispatcher.add(replica, self._make_breaker(replica.name))
        self._monitor.watch(replica)

    def _remove(self, name: str, reason: str) -> None:
        self._monitor.unwatch(name)
        self._leases.end(name)
        self._kept.discard(name)
        self._admission.remove(name, reason)
        self._dispatcher.remove(name)
        self._events.add("removed", name, reason=reason)


def _taken(replica: ReplicaAddress, why: str) -> RequestRejectedError:
    return RequestRejectedError(409, f"{replica.name!r} {why}.", param="name", code="name_taken")
