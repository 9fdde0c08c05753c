"""Probes that look again and again, one look of each under way at a time; never waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness.model.health import Looked
from harness.stack.links import Ask, Look, Seen

__all__ = ["CHAT", "LIMIT_S", "PAGES", "Prober"]

EVERY_S = 0.25
LIMIT_S = 1.0  # as a balancer's: an answer that comes later is none
CHAT = "a chat"
PAGES: Mapping[str, Ask] = {
    "GET /health": Ask(page="/health", limit_s=LIMIT_S),
    "GET /ready": Ask(page="/ready", limit_s=LIMIT_S),
    CHAT: Ask(stream=True, limit_s=LIMIT_S),
}


class Prober:
    """`begin` begins a look; times are those that `poll` is given."""

    def __init__(self, asks: Mapping[str, Ask], begin: Callable[[Ask], Look]) -> None:
        self.looks: dict[str, list[Looked]] = {name: [] for name in asks}
        self.latest: dict[str, Seen] = {}  # what the latest look of each that is over saw
        self._asks = asks
        self._begin = begin
        self._under_way: dict[str, tuple[float, Look]] = {}
        self._next_s: dict[str, float] = dict.fromkeys(asks, 0.0)

    def poll(self, now_s: float) -> None:
        """Note what has come, and begin what is due."""
        for name, ask in self._asks.items():
            if name in self._under_way:
                at_s, look = self._under_way[name]
                seen = look.seen()
                if seen is None:
                    continue
                self.latest[name] = seen
                self.looks[name].append(Looked(at_s, now_s, _green(seen)))
                del self._under_way[name]
            if now_s >= self._next_s[name]:
                self._under_way[name] = (now_s, self._begin(ask))
                self._next_s[name] = now_s + EVERY_S


def _green(seen: Seen) -> bool:
    return seen.status is not None and seen.status < 400 and seen.answered
