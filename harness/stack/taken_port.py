"""Taking the port of a server that is being restarted: between its end and its next start, and until it is let go."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Protocol

from harness.record.clock import Clock

__all__ = ["Taken", "TakenPort"]

TRY_EVERY_S = 0.001
LOOK_EVERY_S = 0.1
GIVE_UP_S = 30.0  # a server may take long to stop


class Taken(Protocol):
    """A port that somebody else has now."""

    @property
    def held(self) -> bool:
        """Whether it is had now."""

    def release(self) -> None:
        """Let it go; safe to call twice."""


class TakenPort:
    """Listens on 127.0.0.1 from the moment at which it can; who connects is sent away. Gone with this process."""

    def __init__(self, port: int, clock: Clock) -> None:
        self._port = port
        self._clock = clock
        self._letting_go = threading.Event()
        self._held = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"port-{port}", daemon=True)
        self._thread.start()

    @property
    def held(self) -> bool:
        """Whether it has the port now."""
        return self._held.is_set()

    def release(self) -> None:
        """Let it go; safe to call twice."""
        self._letting_go.set()
        self._thread.join(2.0)

    def _work(self) -> None:
        listening = self._listening()
        if listening is None:
            return
        with listening:
            self._held.set()
            listening.settimeout(LOOK_EVERY_S)
            while not self._letting_go.is_set():
                with suppress(OSError):  # nobody came
                    listening.accept()[0].close()
        self._held.clear()

    def _listening(self) -> socket.socket | None:
        give_up_s = self._clock.now() + GIVE_UP_S
        while self._clock.now() < give_up_s and not self._letting_go.is_set():
            wanted = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            wanted.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                wanted.bind(("127.0.0.1", self._port))
                wanted.listen()
            except OSError:
                wanted.close()
                self._clock.sleep(TRY_EVERY_S)
            else:
                return wanted
        return None
