"""What nobody can do to a target that is not the harness's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.model.errors import StackError
from harness.model.process_faults import Victim
from harness.stack.base import TargetProcess, Weights
from harness.stack.nodes import Nodes
from harness.stack.partition import Partitions
from harness.stack.resources import Resources
from harness.stack.service import Service
from harness.stack.taken_port import Taken

__all__ = ["NotOurs"]


class NotOurs:
    """Part of the external stack."""

    def related(self, process: TargetProcess, of: Victim) -> TargetProcess | None:
        return process if of == "server" else None  # which of the others is its engine, nobody says

    def why_down(self, replica: str) -> str | None:
        return None

    @property
    def partitions(self) -> Partitions:
        raise StackError("the networks of a foreign target are not ours to cut")

    @property
    def resources(self) -> Resources:
        raise StackError("the limits of a foreign target are not ours to use up")

    @property
    def nodes(self) -> Nodes:
        raise StackError("what a foreign target runs on is not ours to take away")

    def take_port(self, replica: str) -> Taken:
        raise StackError("the ports of a foreign target are not ours to take")

    @property
    def service(self) -> Service:
        raise StackError("a foreign target cannot be asked to break itself")

    def model_folder(self, replica: str) -> Path:
        raise StackError("the files of a foreign target are not ours to damage")

    def held_weights(self, replica: str) -> Weights:
        return Weights(None, "a foreign target does not say what it holds")

    def held_parts(self, replica: str) -> Mapping[str, str]:
        return {}
