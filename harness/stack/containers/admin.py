"""What is done to a run's containers beside their life: networks, commands inside, and what the host gives them."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from docker.models.containers import Container
from docker.models.networks import Network

from harness.model.errors import StackError
from harness.stack.containers.engine import ANSWER_S, saying
from harness.stack.containers.helper import Helper
from harness.stack.containers.labelled import Containers
from harness.stack.containers.plugin import docker_command

__all__ = ["ContainerAdmin"]

FETCH_BYTES = 16 * 1024 * 1024  # more than that goes by way of a file


class ContainerAdmin(Containers):
    """Containers of one run, with all that can be done to them."""

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
        return _said(f"a command in the network of {service} failed", self.helper(service), words)

    def output(self, service: str, words: Sequence[str]) -> str:
        """What a command says that is run in a container, as its own user. Raises StackError when it fails."""
        return _said(f"a command in the container of {service} failed", self._own(service), words)

    def succeeds(self, service: str, words: Sequence[str]) -> bool:
        """Whether a command in a container ends well."""
        with saying(f"a command in the container of {service} was not run"):
            return bool(self._own(service).exec_run(list(words)).exit_code == 0)

    def fetch(self, service: str, path: str, into: Path) -> None:
        """Copy a folder of a container, with what is in it, into one here; one that ends in /. without its name."""
        with saying(f"{path} of {service} was not copied"), tempfile.SpooledTemporaryFile(FETCH_BYTES) as kept:
            for piece in self._own(service).get_archive(path)[0]:
                kept.write(piece)
            kept.seek(0)
            into.mkdir(parents=True, exist_ok=True)
            with tarfile.open(fileobj=kept) as archive:
                archive.extractall(into, filter="data")

    def run_inside(self, service: str, command: Sequence[str], environ: Mapping[str, str]) -> None:
        """Start a process in a running container, as its own user; returns when it was started."""
        with saying(f"nothing could be started in the container of {service}"):
            api, container = self._engine().api, self._own(service)
            created = api.exec_create(
                container.id, list(command), environment=dict(environ), stdout=False, stderr=False
            )
            api.exec_start(created["Id"], detach=True)

    def host_config(self, service: str) -> Mapping[str, Any]:
        """What its container was given of the host."""
        with saying(f"the engine does not say what {service} was given"):
            found: Mapping[str, Any] = self._inspect(str(self._own(service).id))["HostConfig"]
            return found

    def update(self, service: str, words: Sequence[str]) -> None:
        """`docker update`, which the SDK has only in part."""
        docker_command(["update", *words, str(self._own(service).id)], ANSWER_S)

    def _network(self, name: str) -> Network:
        found = [one for one in self._engine().networks.list(names=[name], filters=self._mine()) if one.name == name]
        if not found:
            raise StackError(f"run {self._run_id} has no network {name}")
        return found[0]


def _said(failure: str, container: Container, words: Sequence[str]) -> str:
    with saying(failure):
        done = container.exec_run(list(words))
    output = done.output if isinstance(done.output, bytes) else b"".join(done.output)
    said = output.decode(errors="replace")
    if done.exit_code != 0:
        raise StackError(f"{failure}: {said.strip()[-200:]}")
    return said
