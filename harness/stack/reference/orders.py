"""Orders to whoever supervises the target, carried out in the background: a server may take seconds to stop."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from harness.model.errors import StackError
from harness.model.event import Event
from harness.record.clock import Clock

__all__ = ["Orders"]


class Orders:
    """Orders for one replica follow one another; one that fails becomes an event. Times are since `origin_s`."""

    def __init__(self, clock: Clock, origin_s: float) -> None:
        self._clock = clock
        self._origin_s = origin_s
        self._closing = threading.Event()
        self._failed: deque[Event] = deque()
        self._threads: list[threading.Thread] = []
        self._locks: dict[str, threading.Lock] = {}

    def give(self, replica: str, order: Callable[[], None]) -> None:
        """Returns at once. `order` may raise StackError."""
        lock = self._locks.setdefault(replica, threading.Lock())
        thread = threading.Thread(target=self._carry_out, args=(replica, order, lock), name=replica, daemon=True)
        self._threads = [*(old for old in self._threads if old.is_alive()), thread]
        thread.start()

    def under_way(self) -> list[str]:
        """Replicas with an order that is not carried out yet."""
        return [thread.name for thread in self._threads if thread.is_alive()]

    def failures(self) -> list[Event]:
        """What failed since the last call, as `target.order_failed`."""
        return [self._failed.popleft() for _ in range(len(self._failed))]

    def close(self) -> None:
        """No further order begins, and failures count no more: the stack is being taken down."""
        self._closing.set()

    def wait(self, within_s: float) -> None:
        """Let each order that is under way end, for so long at most."""
        for thread in self._threads:
            thread.join(within_s)

    def _carry_out(self, replica: str, order: Callable[[], None], lock: threading.Lock) -> None:
        with lock:
            try:
                if not self._closing.is_set():
                    order()
            except StackError as error:
                if not self._closing.is_set():
                    at_s = self._clock.now() - self._origin_s
                    self._failed.append(Event(at_s, "target.order_failed", {"replica": replica, "error": str(error)}))
