"""The engine as a process of its own: connected, watched by a pidfd, replaced when it dies, ended with the server.

Without `--monitor-engine` nobody looks: the process becomes a zombie, requests wait for ever and the server is well.
An exit with status 0 is a death like any other: nobody had told the engine to end.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from target_service.model.loading import BadModelError
from target_service.replica.engine_client import EngineClient, EngineGoneError, Totals
from target_service.replica.faults import ForwardedFaults
from target_service.replica.host import HostHears
from target_service.replica.remote_model import RemoteModel
from target_service.replica.restart_budget import RestartBudget
from target_service.replica.settings import ReplicaSettings
from target_service.replica.spawn import Spawned, how_it_ended, spawn_engine
from target_service.replica.state import Serving
from target_service.replica.watchdog import end_process

__all__ = ["ChildHost"]

log = logging.getLogger(__name__)

STOP_WITHIN_S = 3.0  # an engine's own stop takes 2 s when its thread hangs
LAST_WORDS_WITHIN_S = 0.2
STACKS_WITHIN_S = 0.3
RECHECK_WITHIN_S = 30.0
LOOK_S = 0.02


class ChildHost:
    """Owns at most one engine process at a time. `options`: the replica's command line."""

    def __init__(
        self,
        settings: ReplicaSettings,
        options: Sequence[str],
        first: Spawned,
        spawn: Callable[[Sequence[str]], Spawned] = spawn_engine,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._options = tuple(options)
        self._spawned = first
        self._spawn = spawn
        self._clock = clock
        process = settings.process
        self._budget = RestartBudget(process.restarts_max, process.restart_window_s)
        self._client: EngineClient | None = None
        self._ending = False  # the engine was told to end, or has refused its model
        self._replacing: asyncio.Task[None] | None = None
        self.faults = ForwardedFaults(self._send_fault)

    async def start(self, hears: HostHears) -> None:
        """Connect to the process that was spawned."""
        self._hears = hears
        self._loop = asyncio.get_running_loop()
        await self._connect(Totals())

    async def stop(self) -> None:
        """Ask it to end, and end it if it does not."""
        self._ending = True
        if self._replacing is not None:
            self._replacing.cancel()
        if self._client is not None:
            self._client.stop()
        process, give_up_s = self._spawned.process, self._clock() + STOP_WITHIN_S
        # Polled: a wait would need a thread, and the end comes once.
        while process.poll() is None and self._clock() < give_up_s:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_S)
        if process.poll() is None:
            log.error("the engine's process does not end and is killed")
            process.kill()
        if self._client is not None:
            self._client.give_up("the server is shutting down")
        self._loop.remove_reader(self._spawned.pidfd)
        os.close(self._spawned.pidfd)

    def trip(self) -> None:
        """Let the engine write its stacks, then end it; without a restart the server ends as well."""
        self.signal(signal.SIGUSR1)
        time.sleep(STACKS_WITHIN_S)
        process = self._settings.process
        is_replaced = process.monitor and process.restart
        if is_replaced or not process.orphan:
            self.signal(signal.SIGKILL)
        if not is_replaced:
            end_process(self._settings.watchdog.exit_code)

    @property
    def control(self) -> ChildHost:
        """Itself."""
        return self

    def signal(self, number: int) -> bool:
        """Send the engine's process a signal; False: there is none now. From any thread."""
        try:
            signal.pidfd_send_signal(self._spawned.pidfd, number)
        except OSError:
            return False
        return True

    def pids(self) -> list[int]:
        """Server and engine."""
        return [os.getpid(), self._spawned.process.pid]

    def collect(self) -> None:
        """Let the engine collect its garbage."""
        if self._client is not None:
            self._client.send(["collect"])

    # -- what the engine's process says (`engine_client.Hears`)

    def loaded(self, facts: Mapping[str, Any]) -> None:
        """It is proven."""
        assert self._client is not None
        serving = Serving(
            self._client,
            RemoteModel(self._client, facts["versions"]),
            facts["verified"],
            facts["note"],
            facts["load_s"],
            self._recheck if facts["can_recheck"] else None,
        )
        self._hears.good(serving)

    def bad(self, reason: str) -> None:
        """It ends by itself after this."""
        self._ending = True
        self._hears.bad(reason)

    # -- internal

    async def _connect(self, totals: Totals) -> None:
        client = self._client = EngineClient(self._settings.engine, self, totals)
        self._ending = False
        pid = self._spawned.process.pid
        self._hears.started(pid)
        await self._loop.create_unix_connection(lambda: client, sock=self._spawned.connection)
        if self._settings.process.monitor:
            self._loop.add_reader(self._spawned.pidfd, self._exited)

    def _exited(self) -> None:
        self._loop.remove_reader(self._spawned.pidfd)
        code = self._spawned.process.wait()
        if not self._ending:
            self._replacing = self._loop.create_task(self._after(code))

    async def _after(self, code: int) -> None:
        """Its last words first; then every open request fails, and a new process or the server's end follows."""
        client = self._client
        assert client is not None
        try:
            await asyncio.wait_for(client.closed.wait(), LAST_WORDS_WITHIN_S)
        except TimeoutError:
            log.warning("the engine's connection is held open by another process")
        if self._ending:
            return
        reason = f"its process ended with {how_it_ended(code)}"
        log.error("the engine has died: %s", reason)
        client.give_up(reason)
        self.faults.engine_gone()
        if not self._may_restart():
            self._hears.end(self._settings.watchdog.exit_code, reason)
            return
        self._hears.lost(f"the engine died ({reason}) and is being started again")
        try:
            before, self._spawned = self._spawned, self._spawn(self._next_options())
        except OSError as error:
            self._hears.end(self._settings.watchdog.exit_code, f"no process can be started: {error}")
            return
        os.close(before.pidfd)
        await self._connect(client.totals)

    def _may_restart(self) -> bool:
        settings = self._settings.process
        if not settings.restart:
            return False
        allowed = self._budget.take(self._clock())
        if not allowed:
            log.error("%s restarts within %g s were in vain", settings.restarts_max, settings.restart_window_s)
        return allowed

    def _next_options(self) -> tuple[str, ...]:
        delay_s = self.faults.load_delay_s
        return self._options if delay_s == 0 else (*self._options, "--slow-load-s", f"{delay_s:g}")

    def _recheck(self) -> None:
        """Verify again in the engine; called from a thread, raises BadModelError."""
        assert self._client is not None
        called = asyncio.run_coroutine_threadsafe(self._client.call("recheck", RECHECK_WITHIN_S), self._loop)
        try:
            called.result()
        except ValueError as error:
            raise BadModelError(str(error)) from error
        except (EngineGoneError, TimeoutError) as error:
            raise BadModelError(f"check: the engine did not answer: {error!r}") from error

    def _send_fault(self, name: str, parameters: dict[str, Any] | None) -> None:
        if self._client is not None:
            self._client.send(["fault", name, parameters])
