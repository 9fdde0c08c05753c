"""Beats: every replica's /ready, on schedule, whatever the beat before is waiting for."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver

from target_service.gateway.admission import Admission
from target_service.gateway.configurations import Configurations
from target_service.gateway.names import connector
from target_service.gateway.settings import GatewaySettings, ReplicaAddress
from target_service.gateway.verification import Verifier

__all__ = ["Monitor"]

log = logging.getLogger(__name__)


class Monitor:
    """Runs beats and verifications of all replicas until closed; `readmitted` is told the name."""

    def __init__(
        self,
        settings: GatewaySettings,
        admission: Admission,
        verifier: Verifier,
        readmitted: Callable[[str], None],
        configurations: Configurations,
    ) -> None:
        self._settings = settings
        self._admission = admission
        self._verifier = verifier
        self._readmitted = readmitted
        self.configurations = configurations
        self._tasks: set[asyncio.Task[None]] = set()
        self._verifying: set[int] = set()
        self._watched: dict[str, asyncio.Task[None]] = {}
        self._current: dict[str, ReplicaAddress] = {}

    async def start(self, resolver: AbstractResolver | None = None) -> None:
        """Begin beating, with names of replicas as the resolver has them; needs a running loop."""
        # A new connection for every beat, unless told otherwise: it also proves that the replica still accepts.
        anew = self._settings.reuse_connections not in ("beats", "all")
        self._session = aiohttp.ClientSession(connector=connector(resolver, force_close=anew))
        for replica in self._settings.replicas:
            self.watch(replica)

    def watch(self, replica: ReplicaAddress) -> None:
        """Begin to beat a replica, which admission knows."""
        self._current[replica.name] = replica
        self._watched[replica.name] = self._spawn(self._schedule(replica))

    def unwatch(self, name: str) -> None:
        """Stop; what beats and verifications of it still find is not heard."""
        del self._current[name]
        self._watched.pop(name).cancel()
        self.configurations.forget(name)

    def _gone(self, replica: ReplicaAddress) -> bool:
        # By identity: the same name and address may be another one by now.
        return self._current.get(replica.name) is not replica

    async def close(self) -> None:
        """Stop all of it."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a beat or verification crashed", exc_info=task.exception())

    async def _schedule(self, replica: ReplicaAddress) -> None:
        next_s = time.monotonic()
        while True:
            self._spawn(self._beat(replica))
            # From begin to begin; after a stall of this process the missed slots are not made up.
            next_s = max(next_s + self._settings.beat_s, time.monotonic())
            await asyncio.sleep(next_s - time.monotonic())

    async def _beat(self, replica: ReplicaAddress) -> None:
        begin_s = time.monotonic()
        try:
            async with asyncio.timeout(self._settings.beat_timeout_s):
                green, body = await self._ask_ready(replica)
        except TimeoutError:
            self._miss(replica, begin_s, f"no answer in {self._settings.beat_timeout_s:g} s")
        except (aiohttp.ClientError, OSError) as error:
            self._miss(replica, begin_s, f"{type(error).__name__}: {error}")
        else:
            if green and not self._gone(replica):
                self._green(replica, begin_s, body)
            elif not green:
                self._miss(replica, begin_s, f"not ready: {body.get('reason')}")
                if body.get("detector") and not self._gone(replica):
                    found = str(body["detector"]), str(body.get("reason"))
                    self._admission.integrity_failed(replica.name, *found, body.get("detected_monotonic_s"))

    def _green(self, replica: ReplicaAddress, begin_s: float, body: dict[str, Any]) -> None:
        self.configurations.note(replica.name, body)
        ticket = self._admission.beat_ok(replica.name, begin_s, body.get("incarnation"))
        if ticket is not None and id(replica) not in self._verifying:
            self._verifying.add(id(replica))
            self._spawn(self._verify(replica, ticket))

    def _miss(self, replica: ReplicaAddress, begin_s: float, reason: str) -> None:
        if self._gone(replica):
            return
        was = self._admission.standings[replica.name].admitted
        self._admission.beat_missed(replica.name, begin_s, reason)
        if was:
            log.warning("%s missed a beat: %s", replica.name, reason)

    async def _ask_ready(self, replica: ReplicaAddress) -> tuple[bool, dict[str, Any]]:
        async with self._session.get(f"{replica.url}/ready") as response:
            try:
                body = await response.json(content_type=None)
            except ValueError:
                body = None
            known = body if isinstance(body, dict) else {"reason": f"status {response.status}"}
            return response.status == 200, known

    async def _verify(self, replica: ReplicaAddress, ticket: int) -> None:
        try:
            failed = await self._verifier.verify(self._session, replica)
        finally:
            self._verifying.discard(id(replica))
        if self._gone(replica):
            return
        if failed is not None:
            log.warning("%s failed verification: %s", replica.name, failed)
            self._admission.golden_failed(replica.name, failed)
        elif self._admission.verified(replica.name, ticket):
            self._readmitted(replica.name)
            log.info("%s is admitted", replica.name)
