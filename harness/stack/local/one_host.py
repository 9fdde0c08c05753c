"""What a stack cannot do whose servers all run on this host."""

from __future__ import annotations

from harness.model.errors import StackError
from harness.stack.nodes import Nodes
from harness.stack.partition import Partitions
from harness.stack.reference.target import OwnTarget
from harness.stack.resources import Resources

__all__ = ["OneHost"]


class OneHost(OwnTarget):
    """Part of the local stack."""

    @property
    def partitions(self) -> Partitions:
        raise StackError("the local stack's servers share one network; use `--stack compose`")

    @property
    def resources(self) -> Resources:
        raise StackError("processes of one host have no limits of their own; use `--stack compose`")

    @property
    def nodes(self) -> Nodes:
        raise StackError("the local stack's servers all run on this host; use `--stack compose`")
