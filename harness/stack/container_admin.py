"""What is done to the networks of a run's containers: who is on which, and commands in the network of one of them."""

from __future__ import annotations

from collections.abc import Sequence

from docker.models.containers import Container
from docker.models.networks import Network

from harness.model.errors import StackError
from harness.stack.container_helper import Helper
from harness.stack.containers import Containers
from harness.stack.engine import saying

__all__ = ["ContainerAdmin"]


class ContainerAdmin(Containers):
    """Containers of one run, with their networks."""

    def networks(self, service: str) -> set[str]:
        """Names of the networks that it is on."""
        with saying(f"{service}'s networks are not known"):
            return set(self._inspect(str(self._own(service).id))["NetworkSettings"]["Networks"])

    def disconnect(self, service: str, network: str) -> None:
        """Take it off a network of this run."""
        with saying(f"{service} was not taken off {network}"):
            self._network(network).disconnect(self._own(service))

    def connect(self, service: str, network: str) -> None:
        """Put it on a network of this run, under its own name; does no harm when it is there."""
        if network not in self.networks(service):
            with saying(f"{service} was not put on {network}"):
                self._network(network).connect(self._own(service), aliases=[service])

    def helper(self, service: str) -> Container:
        """A container in the very network of a service's, which may administer that and nothing else."""
        with saying(f"no helper for the network of {service}"):
            return Helper(self._engine(), self._run_id).of(self._own(service))

    def in_network(self, service: str, words: Sequence[str]) -> str:
        """What a command says that is run by that helper. Raises StackError when it fails."""
        with saying(f"a command in the network of {service} failed"):
            done = self.helper(service).exec_run(list(words))
        output = done.output if isinstance(done.output, bytes) else b"".join(done.output)
        said = output.decode(errors="replace")
        if done.exit_code != 0:
            raise StackError(f"a command in the network of {service} failed: {said.strip()[-200:]}")
        return said

    def _network(self, name: str) -> Network:
        found = [one for one in self._engine().networks.list(names=[name], filters=self._mine()) if one.name == name]
        if not found:
            raise StackError(f"run {self._run_id} has no network {name}")
        return found[0]
