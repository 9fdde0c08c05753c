"""The fake stack's strangers: they take the engine's places, and a hardened target refuses them instead."""

from __future__ import annotations

from collections.abc import Callable

from harness.record.journal import Inverse
from harness.stack.fake.target import FakeTarget
from harness.stack.traffic import Strangers

__all__ = ["FakeTraffic"]


class FakeTraffic:
    """`target` is the script, advanced to now."""

    def __init__(self, target: Callable[[], FakeTarget]) -> None:
        self._target = target

    def begin(self, who: Strangers) -> None:
        self._target().crowd.begin(who.name, who.kind, self._target().now_s, who.arguments)

    def end(self, who: Strangers) -> None:
        self._target().crowd.end(who.name, self._target().now_s)

    def there(self, who: Strangers) -> bool:
        return self._target().crowd.has(who.name)

    def inverse(self, who: Strangers) -> Inverse:
        return Inverse("nothing", {"because": "scripted strangers end with their run", "name": who.name})
