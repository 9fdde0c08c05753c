"""Where an engine runs, as the server sees it: a thread of this process here, a process of its own in `child_host`."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from functools import partial
from typing import Any, Protocol

from target_service.model.loading import BadModelError
from target_service.replica.fault_endpoints import EngineControl
from target_service.replica.faults import Faults
from target_service.replica.settings import ReplicaSettings
from target_service.replica.startup import start_serving
from target_service.replica.state import Serving
from target_service.replica.watchdog import end_process

__all__ = ["Host", "HostHears", "ThreadHost"]

log = logging.getLogger(__name__)


class HostHears(Protocol):
    """The server, told what becomes of the engine; all on the event loop."""

    def started(self, pid: int) -> None:
        """An engine begins to load in that process."""

    def good(self, serving: Serving) -> None:
        """It is loaded and proven."""

    def bad(self, reason: str) -> None:
        """Its model is not served."""

    def lost(self, reason: str) -> None:
        """It has gone; another will be started."""

    def end(self, exit_code: int, reason: str) -> None:
        """It has gone and no other comes: the server ends."""


class Host(Protocol):
    """Starts an engine, and ends it."""

    @property
    def faults(self) -> Faults:
        """What is wrong with the replica on purpose."""

    @property
    def control(self) -> EngineControl | None:
        """Power over the engine's process; None when it has none of its own."""

    async def start(self, hears: HostHears) -> None:
        """Begin to load."""

    async def stop(self) -> None:
        """End the engine; open requests fail."""

    def trip(self) -> None:
        """The watchdog's verdict, from its thread: end what hangs, at once."""

    def pids(self) -> list[int]:
        """The processes whose memory is the replica's."""

    def collect(self) -> None:
        """Give back what memory can be given back."""


class ThreadHost:
    """The engine as a thread of the server, which imports torch itself."""

    def __init__(self, settings: ReplicaSettings) -> None:
        self._settings = settings
        self._serving: Serving | None = None
        self.faults = Faults()
        self.control = None

    async def start(self, hears: HostHears) -> None:
        """Load in a thread."""
        loop = asyncio.get_running_loop()
        hears.started(os.getpid())
        threading.Thread(target=self._load, args=(loop, hears), name="load", daemon=True).start()

    def _load(self, loop: asyncio.AbstractEventLoop, hears: HostHears) -> None:
        step: Any
        try:
            self._serving = start_serving(self._settings, self.faults)
        except BadModelError as error:
            step = partial(hears.bad, str(error))
        except Exception as error:
            log.exception("loading failed")
            step = partial(hears.bad, f"load: {error!r}")
        else:
            step = partial(hears.good, self._serving)
        # The loop may have ended while the model was loading.
        if not loop.is_closed():
            loop.call_soon_threadsafe(step)

    async def stop(self) -> None:
        """End the engine's thread."""
        if self._serving is not None:
            self._serving.engine.stop()

    def trip(self) -> None:
        """End this process."""
        end_process(self._settings.watchdog.exit_code)

    def pids(self) -> list[int]:
        """This process."""
        return [os.getpid()]

    def collect(self) -> None:
        """Nothing more than the server does for itself."""
