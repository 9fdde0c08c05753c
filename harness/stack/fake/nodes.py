"""The fake stack's nodes and ports, as a script."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from harness.record.journal import Inverse
from harness.stack.fake.target import FakeTarget
from harness.stack.links import DOWN, Toxic

__all__ = ["FakeNodes", "FakeTakenPort"]

USERS = "gateway"


class FakeNodes:
    """`target` is the script, advanced to now."""

    def __init__(self, target: Callable[[], FakeTarget]) -> None:
        self._target = target

    def prepare(self, servers: Sequence[str], mark: str) -> Inverse:
        return Inverse("nothing", {"because": "a scripted node ends with its run", "mark": mark})

    def take(self, servers: Sequence[str], mark: str) -> None:
        for server in servers:
            if server == USERS:
                self._target().away.add(server)
                self._target().links.add(USERS, Toxic(mark, DOWN))
            else:
                self._target().take_away(server)

    def bring_back(self, servers: Sequence[str], mark: str) -> None:
        for server in servers:
            if server == USERS:
                self._target().away.discard(server)
                self._target().links.remove(USERS, Toxic(mark, DOWN))
            else:
                self._target().bring_back(server)

    def gone(self, servers: Sequence[str]) -> Mapping[str, str]:
        target = self._target()
        down = {name for name, replica in target.replicas.items() if replica.status == "dead"}
        return {one: "exited with code 137" for one in servers if one in target.away or one in down}


class FakeTakenPort:
    """Taken from the replica's next start on."""

    def __init__(self, taken: set[str], replica: str) -> None:
        self._taken = taken
        self._replica = replica
        taken.add(replica)

    @property
    def held(self) -> bool:
        return self._replica in self._taken

    def release(self) -> None:
        self._taken.discard(self._replica)
