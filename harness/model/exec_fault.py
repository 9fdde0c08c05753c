"""The parameters of `exec`: what the harness does not drive itself, done and taken back by commands of the user's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from harness.model.capability import Capability
from harness.model.fault import Fault, SecondsAboveZero

__all__ = ["ExecFault"]


@dataclass(frozen=True, kw_only=True)
class ExecFault(Fault):
    """A command breaks it, one takes it back, one says whether it acts; no shell, and a limit on the time of each."""

    needs: ClassVar[Capability] = Capability.EXEC
    kind: Literal["exec"] = "exec"
    on: str = "target"
    """A name for the report; commands say themselves what they act on."""
    do: tuple[str, ...] = ()
    """Program and arguments, as in [kubectl, scale, deployment/llm, --replicas=0]."""
    undo: tuple[str, ...] = ()
    """Takes it back; must do no harm when run twice, or when `do` was never run."""
    verify: tuple[str, ...] = ()
    """Exit 0: the fault acts now, and its first line is the evidence. 1: it does not. Anything else says nothing."""
    for_s: SecondsAboveZero = 10.0
    """How long it stays before `undo`."""
    timeout_s: SecondsAboveZero = 30.0
    """Of each command; then it is killed with all that it started."""

    @property
    def lasts_s(self) -> float:
        return self.for_s
