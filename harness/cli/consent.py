"""Before somebody's own service is touched for the first time: what may be touched, and a question.

An answer is kept per machine for exactly that list, so that a container more, or another command, is asked about again.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from harness.model.errors import HarnessError
from harness.model.exec_fault import ExecFault
from harness.model.plan import Plan
from harness.stack.base import Stack

__all__ = ["agree", "agree_to", "what_may_be_touched"]


def what_may_be_touched(plan: Plan, stack: Stack) -> list[str]:
    """Sentences on what is not the harness's own; none for a run that touches nothing else."""
    return list(dict.fromkeys([*_target(plan, stack), *_commands(plan)]))


def _target(plan: Plan, stack: Stack) -> Iterator[str]:
    if stack.name != "external":
        return
    yield f"load: requests are sent to {stack.describe()['target']}"
    for name, what in stack.links().items():
        if any(fault.kind.startswith("network.") and fault.on == name for fault in plan.scenario.faults):
            yield f"link {name}: {what}"
    for name, what in stack.describe().items():
        kinds = sorted({f.kind for f in plan.scenario.faults if f.on == name and f.kind.startswith("process.")})
        if kinds:
            yield f"{name}, {what}: {', '.join(kinds)}"


def _commands(plan: Plan) -> Iterator[str]:
    for fault in plan.scenario.faults:
        if isinstance(fault, ExecFault):
            yield f"on this machine: {shlex.join(fault.do)}; taken back by: {shlex.join(fault.undo)}"
            yield f"on this machine: {shlex.join(fault.verify)}"


def agree(planned: Sequence[tuple[Plan, Stack]], kept: Path, *, yes: bool) -> None:
    """What the runs may touch, as `agree_to`."""
    agree_to([line for plan, stack in planned for line in what_may_be_touched(plan, stack)], kept, yes=yes)


def agree_to(sentences: Sequence[str], kept: Path, *, yes: bool) -> None:
    """Show and ask, unless this very list was agreed to before. Raises HarnessError when nobody can be asked, or no."""
    lines = list(dict.fromkeys(sentences))
    digest = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
    if not lines or digest in _agreed(kept):
        return
    click.echo("this run touches what the harness did not start:", err=True)
    for line in lines:
        click.echo(f"  {line}", err=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise HarnessError("nobody is there to agree to this list: read it, then say --yes or set HARNESS_YES=1")
    if not click.confirm("go on?", default=False, err=True):
        raise HarnessError("not agreed, so nothing was touched")
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(sorted({*_agreed(kept), digest})), encoding="utf-8")


def _agreed(kept: Path) -> list[str]:
    try:
        value = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [str(one) for one in value] if isinstance(value, list) else []
