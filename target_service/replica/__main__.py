"""Run a replica. Exit codes: 0 after SIGTERM or SIGINT, 2 usage, 70 the engine hung, 78 a bad model."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from functools import partial

from aiohttp import web

from target_service.model.loading import BadModelError, stay_offline
from target_service.protocol.log import log_to_stderr
from target_service.replica.app import make_app
from target_service.replica.faults import Faults
from target_service.replica.health import EngineHealth, Prober
from target_service.replica.integrity import PeriodicCheck
from target_service.replica.settings import ReplicaSettings, parse_arguments
from target_service.replica.startup import identify, start_serving
from target_service.replica.state import ReplicaState, Serving
from target_service.replica.watchdog import Watchdog, end_process
from target_service.services.choice import service_of, splitter_of

EXIT_BAD_MODEL = 78
log = logging.getLogger("target_service.replica")


class _Replica:
    """The process: listen at once, load beside it, drain at the end."""

    def __init__(self, settings: ReplicaSettings) -> None:
        self._settings = settings
        self._exit_code = 0
        self._end = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._tasks: list[asyncio.Task[None]] = []
        identity = identify(settings.model)
        self._state = ReplicaState(settings.name, identity.model, identity.weights_sha256)
        self._state.early_ready = settings.early_ready
        self._state.service = service_of(settings.model, settings.service)
        self._state.splitter = splitter_of(settings.model, self._state.service)
        self._faults = Faults()

    async def run(self) -> int:
        runner = web.AppRunner(
            make_app(self._state, self._settings.http, self._faults, self._settings.model),
            access_log=None,
            # Without it a handler runs on for a client that has gone.
            handler_cancellation=self._settings.engine.cancel_on_disconnect,
            shutdown_timeout=1,
            keepalive_timeout=self._settings.http.keepalive_s,
        )
        await runner.setup()
        await web.TCPSite(runner, self._settings.host, self._settings.port).start()
        log.info("listening on %s:%s", self._settings.host, self._settings.port)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._end.set)
        threading.Thread(target=self._load, name="load", daemon=True).start()
        await self._end.wait()
        if self._exit_code == 0:
            await self._drain()
        for task in self._tasks:
            task.cancel()
        await runner.cleanup()
        if self._state.serving is not None:
            self._state.serving.engine.stop()
        return self._exit_code

    def _load(self) -> None:
        try:
            serving = start_serving(self._settings, self._faults)
        except BadModelError as error:
            self._tell(self._bad, str(error))
        except Exception as error:
            log.exception("loading failed")
            self._tell(self._bad, f"load: {error!r}")
        else:
            self._tell(self._good, serving)

    def _tell(self, step: object, argument: object) -> None:
        # The loop may have ended while the model was loading.
        if not self._loop.is_closed() and callable(step):
            self._loop.call_soon_threadsafe(step, argument)

    def _good(self, serving: Serving) -> None:
        self._state.serving = serving
        self._watch(serving)
        log.info("ready after %.2f s: %s", serving.load_s, serving.verified_note)

    def _watch(self, serving: Serving) -> None:
        watchdog, health = self._settings.watchdog, self._settings.health
        if watchdog.limit_s > 0:
            Watchdog(serving.engine, watchdog.limit_s, partial(end_process, watchdog.exit_code)).start()
        if serving.verified:
            self._state.verification.good(time.monotonic() - serving.load_s)
        if serving.recheck is not None and self._settings.verify_weights == "periodic":
            check = PeriodicCheck(serving.recheck, self._state.verification, self._bad)
            self._tasks.append(asyncio.create_task(check.run(self._settings.verify_every_s)))
        if health.deep:
            self._state.health = EngineHealth(health.stall_s)
            self._tasks.append(asyncio.create_task(Prober(serving.engine, self._state.health, health.probe_s).run()))

    def _bad(self, reason: str) -> None:
        self._state.reason = reason
        log.error("the model is not served: %s", reason)
        if self._settings.on_bad_model == "exit":
            self._exit_code = EXIT_BAD_MODEL
            self._end.set()

    async def _drain(self) -> None:
        self._state.draining = True
        give_up_s = time.monotonic() + self._settings.drain_s
        log.info("draining %s open requests", self._state.counters.open)
        # Polled: a request ends in many places, and a drain happens once.
        while self._state.counters.open and time.monotonic() < give_up_s:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        log.info("ends with %s open requests", self._state.counters.open)


async def _run(settings: ReplicaSettings) -> int:
    return await _Replica(settings).run()


def main() -> int:
    """Run until a signal or a bad model; return the exit code."""
    settings = parse_arguments()
    stay_offline()
    log_to_stderr(f"replica[{settings.name}]")
    return asyncio.run(_run(settings))


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    # Loading cannot be interrupted; interpreter shutdown would wait for its C++ threads.
    os._exit(code)
