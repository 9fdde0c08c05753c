"""A replica registers itself with a gateway and renews its lease, so that nobody has to list it."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import aiohttp

__all__ = ["Registrar"]

log = logging.getLogger(__name__)

# Two renewals may be lost.
RENEWALS_PER_LEASE = 3
LEAVE_TIMEOUT_S = 1.0


class Registrar:
    """Says where `name` is, again and again; the token is never logged."""

    def __init__(self, gateway: str, token: str, *, name: str, url: str, lease_s: float) -> None:
        self._replicas = f"{gateway}/gateway/replicas"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._body = {"name": name, "url": url, "lease_s": lease_s}
        self._name = name
        self._every_s = lease_s / RENEWALS_PER_LEASE
        self._said: str | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; needs a running loop."""
        self._task = asyncio.create_task(self._run())

    async def leave(self) -> None:
        """Renew no more and deregister, so that the gateway sends nothing more; a gateway that is away is let be."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        timeout = aiohttp.ClientTimeout(total=LEAVE_TIMEOUT_S)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=self._headers) as session,
                session.delete(f"{self._replicas}/{self._name}") as response,
            ):
                log.info("deregistered: status %s", response.status)

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=self._every_s)
        async with aiohttp.ClientSession(timeout=timeout, headers=self._headers) as session:
            while True:
                said = await self._renew(session)
                # Once for every change, not for every renewal.
                if said != self._said:
                    log.log(logging.INFO if said == "registered" else logging.WARNING, "%s: %s", self._replicas, said)
                    self._said = said
                await asyncio.sleep(self._every_s)

    async def _renew(self, session: aiohttp.ClientSession) -> str:
        try:
            async with session.post(self._replicas, json=self._body) as response:
                return "registered" if response.status == 200 else f"status {response.status}"
        except (aiohttp.ClientError, TimeoutError) as error:
            return f"{type(error).__name__}: {error}"
