"""A node that is lost with everything that runs on it."""

from __future__ import annotations

from harness.faults.base import ActiveFault, CannotInject, Proof
from harness.model.errors import StackError
from harness.model.process_faults import NodeDown
from harness.record.journal import Inverse
from harness.stack.links import Ask, Look

__all__ = ["TakeNode"]


class TakeNode(ActiveFault):
    """Everything on it goes at once, and comes back at the end."""

    mark: str
    servers: tuple[str, ...]
    _looks: dict[str, Look]

    def prepare(self) -> Inverse:
        assert isinstance(self.fault, NodeDown)
        self.mark = "-".join([self.fault.kind, *self.where.seed.split("/")[-2:]])
        self.servers, self._looks = self.fault.servers, {}
        try:
            if down := self.stack.nodes.gone(self.servers):
                raise CannotInject(f"{min(down)} is down already")
            return self.stack.nodes.prepare(self.servers, self.mark)
        except StackError as error:
            raise CannotInject(str(error)) from error

    def apply(self) -> None:
        try:
            self.stack.nodes.take(self.servers, self.mark)
        except StackError as error:
            raise CannotInject(str(error)) from error

    def proof(self) -> Proof | None:
        down = self.stack.nodes.gone(self.servers)
        if len(down) < len(self.servers):
            return None
        return Proof(True, "; ".join(f"{server} is {said}" for server, said in down.items()))

    def lost(self) -> str | None:
        back = set(self.servers) - set(self.stack.nodes.gone(self.servers))
        return f"{min(back)} was started by somebody else" if back else None

    def after_inverse(self) -> None:
        if self.stack.nodes.gone(self.servers):  # the inverse of a stack that is a script does nothing
            self.stack.nodes.bring_back(self.servers, self.mark)

    def healed(self) -> bool:
        """All run, and each says itself that it serves."""
        if self.stack.nodes.gone(self.servers):
            return False
        serving = [self._serves(server) for server in self.servers]  # each is asked, whatever the others say
        return all(serving)

    def _serves(self, server: str) -> bool:
        if server not in self._looks:
            page = "/ready" if server in self.stack.describe() else "/health"
            self._looks[server] = self.stack.network.look(server, Ask(page=page), past=True)
        seen = self._looks[server].seen()
        if seen is not None and not (seen.answered and seen.status == 200):
            del self._looks[server]
            return False
        return seen is not None
