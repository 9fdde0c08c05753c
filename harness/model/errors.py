"""Errors of the harness, one tree. Errors of the target are data and never raise.

HarnessError                 exit code 2 unless said otherwise
|- ScenarioError             the file is wrong: every problem, with file and line
|- StackError                the stack cannot do it or did not come up
|  `- CapabilityError        a fault that this stack cannot inject
|- RunFolderError            a run's folder is missing or damaged
|- BlastRadiusError          something that this run does not own was aimed at
`- RunBroken                 broken after the first fault was possible: exit code 3
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "BlastRadiusError",
    "CapabilityError",
    "HarnessError",
    "Problem",
    "RunBroken",
    "RunFolderError",
    "ScenarioError",
    "StackError",
    "unexpected",
]


class HarnessError(Exception):
    """A sentence for the user: what is wrong, where, and the remedy."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a file. `line` counts from 1."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class ScenarioError(HarnessError):
    """The scenario cannot be used; `problems` lists everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class StackError(HarnessError):
    """The place where the target runs is missing something or did not come up."""


class CapabilityError(StackError):
    """The stack cannot inject a fault; the message names fault, capability and stack."""


class RunFolderError(HarnessError):
    """A run's folder is missing, incomplete or damaged."""


class BlastRadiusError(HarnessError):
    """A fault was aimed at something that this run does not own."""


class RunBroken(HarnessError):
    """The run could not go on; what was recorded is kept and the verdict is inconclusive."""

    exit_code = 3


def unexpected(error: Exception) -> str:
    """What to call an error that is none of these. A full disk is the user's, anything but an OSError is ours."""
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return said if isinstance(error, OSError) else f"a defect of the harness itself: {said}"
