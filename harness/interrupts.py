"""Ctrl-C, SIGTERM and SIGHUP: counted, and acted on where it is safe. Cleaning up is never cut short by them."""

from __future__ import annotations

import signal
from types import FrameType

__all__ = ["Interrupts"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """A context in which these signals only count."""

    def __init__(self) -> None:
        self.count = 0
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Interrupts:
        for name in _SIGNALS:
            self._before[name] = signal.signal(name, self._one_more)
        return self

    def __exit__(self, *_: object) -> None:
        for name, handler in self._before.items():
            signal.signal(name, handler)  # type: ignore[arg-type]  # what signal.signal returned a moment ago

    def asked(self) -> int:
        """How often the user asked to stop."""
        return self.count

    def _one_more(self, signum: int, frame: FrameType | None) -> None:
        self.count += 1
