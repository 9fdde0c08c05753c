"""A replica's server: listens at once, while the engine loads elsewhere; drains at the end."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import time
from collections.abc import Callable

from aiohttp import web

from target_service.observability.logs import Logs
from target_service.protocol.web import refuse_odd_expectations
from target_service.replica.app import CHAT, make_app
from target_service.replica.configuration import configuration_of
from target_service.replica.following import Follower
from target_service.replica.health import EngineHealth, Prober
from target_service.replica.host import Host, ThreadHost
from target_service.replica.integrity import PeriodicCheck, Verification
from target_service.replica.memory_guard import MemoryGuard, reading
from target_service.replica.registration import Registrar
from target_service.replica.settings import HttpSettings, ReplicaSettings
from target_service.replica.startup import identify
from target_service.replica.state import ReplicaState, Serving
from target_service.replica.watchdog import Watchdog
from target_service.services.choice import service_of, splitter_of

__all__ = ["serve"]

EXIT_BAD_MODEL = 78
log = logging.getLogger("target_service.replica")


class _Server:
    """What is told by host (`host.HostHears`) and memory guard (`memory_guard.GuardHears`) becomes the state."""

    def __init__(self, settings: ReplicaSettings, host: Host, logs: Logs | None) -> None:
        self._settings = settings
        self._logs = logs
        self._host = host
        self._exit_code = 0
        self._drains = True
        self._end = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._watching: list[asyncio.Task[None]] = []  # of the engine that serves now
        self._watchdog: Watchdog | None = None
        identity = identify(settings.model)
        self._state = ReplicaState(settings.name, identity.model, identity.weights_sha256, identity.version)
        self._state.early_ready = settings.early_ready
        self._state.folder = settings.model
        self._state.service = service_of(settings.model, settings.service)
        self._state.splitter = splitter_of(settings.model, self._state.service)
        self._state.configuration = configuration_of(settings)
        self._registrar: Registrar | None = None
        self._follower: asyncio.Task[None] | None = None

    async def run(self) -> int:
        app = make_app(self._state, self._settings.http, self._host.faults, self._logs, self._host.control)
        runner = web.AppRunner(
            app,
            access_log=None,
            # Without it a handler runs on for a client that has gone.
            handler_cancellation=self._settings.engine.cancel_on_disconnect,
            shutdown_timeout=1,
            keepalive_timeout=self._settings.http.keepalive_s,
        )
        await runner.setup()
        refuse_odd_expectations(runner)
        await web.TCPSite(runner, self._settings.host, self._settings.port).start()
        log.info("listening on %s:%s", self._settings.host, self._settings.port)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._end.set)
        self._meet(app[CHAT].adopt)
        await self._host.start(self)
        guard = self._guard_memory()
        await self._end.wait()
        for task in (guard, self._follower):
            if task is not None:
                task.cancel()
        if self._drains:
            await self._drain()
        self._unwatch()
        await runner.cleanup()
        await self._host.stop()
        return self._exit_code

    # -- the engine (`host.HostHears`)

    def started(self, pid: int) -> None:
        """An engine begins to load."""
        self._state.engine_pid = pid
        self._state.engine_starts += 1
        if self._state.engine_starts > 1:
            # The folder may hold another model by now.
            identity = identify(self._settings.model)
            self._state.model, self._state.weights_sha256 = identity.model, identity.weights_sha256
            self._state.version = identity.version

    def good(self, serving: Serving) -> None:
        """The engine is proven."""
        self._state.serving = serving
        self._watch(serving)
        log.info("ready after %.2f s: %s", serving.load_s, serving.verified_note)

    def bad(self, reason: str) -> None:
        """The model is not what it should be."""
        self._state.reason = reason
        self._state.verification.bad(reason)
        log.error("the model is not served: %s", reason)
        if self._settings.on_bad_model == "exit":
            self._end_with(EXIT_BAD_MODEL)

    def lost(self, reason: str) -> None:
        """The engine died and is replaced: not ready until the new one is proven."""
        self._unwatch()
        self._state.serving, self._state.reason = None, reason

    def end(self, exit_code: int, reason: str) -> None:
        """The engine died and is not replaced."""
        self.lost(f"the engine died: {reason}")
        # Also with exit code 0, which is nobody's success: there is nothing to drain.
        self._end_with(exit_code)

    # -- memory (`memory_guard.GuardHears`)

    def collect(self) -> None:
        """Collect garbage in both processes."""
        gc.collect()
        self._host.collect()

    def over(self, problem: str | None) -> None:
        """Refuse, or take requests again."""
        self._state.memory_problem = problem

    def lasting(self, problem: str) -> None:
        """Drain, then end: a supervisor starts an empty replica."""
        self._state.memory_problem = problem
        self._exit_code = self._settings.memory.exit_code
        self._end.set()

    # -- internal

    def _meet(self, adopt: Callable[[HttpSettings], None]) -> None:
        mine, configuration = self._settings.neighbours, self._state.configuration
        if mine.register_with and mine.register_token:
            name, url = self._settings.name, mine.advertise_url
            self._registrar = Registrar(
                mine.register_with, mine.register_token, name=name, url=url, lease_s=mine.lease_s
            )
            self._registrar.start()
        if mine.follow and configuration is not None:
            follower = Follower(mine.follow, self._settings.http, configuration, adopt)
            self._follower = asyncio.create_task(follower.run(mine.follow_every_s))

    def _guard_memory(self) -> asyncio.Task[None] | None:
        settings = self._settings.memory
        read = reading(settings, self._host.pids) if settings.guarded else None
        return None if read is None else asyncio.create_task(MemoryGuard(settings, read, self).run())

    def _end_with(self, exit_code: int) -> None:
        self._exit_code, self._drains = exit_code, False
        self._end.set()

    def _watch(self, serving: Serving) -> None:
        watchdog, health = self._settings.watchdog, self._settings.health
        if watchdog.limit_s > 0:
            clock = time.time if watchdog.clock == "wall" else time.monotonic
            self._watchdog = Watchdog(serving.engine, watchdog.limit_s, self._host.trip, clock)
            self._watchdog.start()
        if serving.verified:
            self._state.verification.good(time.monotonic() - serving.load_s)
        if serving.recheck is not None and self._settings.verify_weights == "periodic":
            check = PeriodicCheck(serving.recheck, self._state.verification, self.bad)
            self._watching.append(asyncio.create_task(check.run(self._settings.verify_every_s)))
        if health.deep:
            self._state.health = EngineHealth(health.stall_s)
            prober = Prober(serving.engine, self._state.health, health.probe_s)
            self._watching.append(asyncio.create_task(prober.run()))

    def _unwatch(self) -> None:
        if self._watchdog is not None:
            self._watchdog.stop()
        for task in self._watching:
            task.cancel()
        self._watching.clear()
        self._state.health = None
        self._state.verification = Verification(self._state.verification.failures)

    async def _drain(self) -> None:
        self._state.draining = True
        if self._registrar is not None:
            await self._registrar.leave()
        give_up_s = time.monotonic() + self._settings.drain_s
        log.info("draining %s open requests", self._state.counters.open)
        # Polled: a request ends in many places, and a drain happens once.
        while self._state.counters.open and time.monotonic() < give_up_s:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        log.info("ends with %s open requests", self._state.counters.open)


async def serve(settings: ReplicaSettings, host: Host | None = None, logs: Logs | None = None) -> int:
    """Serve until a signal or the engine's end; return the exit code. Without a host the engine is a thread here."""
    return await _Server(settings, host or ThreadHost(settings), logs).run()
