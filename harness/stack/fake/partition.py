"""The fake stack's ways between servers, as a script: what is cut is a link that is down, or silent."""

from __future__ import annotations

from collections.abc import Callable

from harness.record.journal import Inverse
from harness.stack.fake.links import FakeLinks, Over
from harness.stack.fake.target import FakeTarget
from harness.stack.links import DOWN, Ask, Look, Toxic
from harness.stack.partition import Cut, Reached, Resolved

__all__ = ["FakePartitions"]

PACKETS = 3  # that met a rule, in every look


class FakePartitions:
    """`target` is the script, advanced to now."""

    def __init__(self, target: Callable[[], FakeTarget]) -> None:
        self._target = target

    def prepare(self, cut: Cut) -> Inverse:
        return Inverse("nothing", {"because": "a scripted network ends with its run", "mark": cut.mark})

    def cut(self, cut: Cut) -> None:
        self._target().cuts[cut.mark] = cut
        for replica in cut.replicas:
            self._links.add(replica, _toxic(cut))

    def mend(self, cut: Cut) -> None:
        self._target().cuts.pop(cut.mark, None)
        for replica in cut.replicas:
            self._links.remove(replica, _toxic(cut))

    def has(self, cut: Cut) -> bool:
        return cut.mark in self._target().cuts

    def reach(self, cut: Cut, replica: str) -> Over[Reached]:
        here = self.has(cut)
        seen = self._links.look(replica, Ask(), past=not here).seen()
        refused = here and cut.how == "refuse"
        connected = seen is not None and seen.answered
        counted = PACKETS if here and cut.how != "disconnect" else 0
        return Over(Reached(connected, refused, connected, counted))

    def resolve(self, cut: Cut) -> Over[Resolved]:
        if self.has(cut):
            return Over(Resolved("toxiproxy", None, "Temporary failure in name resolution", PACKETS))
        return Over(Resolved("toxiproxy", "10.0.0.2"))

    def past(self, replica: str) -> Look:
        return self._links.look(replica, Ask(), past=True)

    @property
    def _links(self) -> FakeLinks:
        return self._target().links


def _toxic(cut: Cut) -> Toxic:
    return Toxic(cut.mark, "blackhole" if cut.how == "drop" else DOWN)
