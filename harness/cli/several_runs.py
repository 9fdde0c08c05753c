"""Runs one after another: one that could not be does not take the others' verdicts away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from harness.cli.defects import defect_sentence
from harness.cli.one_run import run_one, session_for
from harness.cli.scenarios import Where
from harness.cli.terminal import Terminal, verdict_lines, verdict_table
from harness.interrupts import Interrupts
from harness.model.errors import HarnessError
from harness.model.expectation import Half, known_outcome, unexpected
from harness.model.verdict import Verdict, VerdictOutcome, worst
from harness.plan.make_plan import Drawn
from harness.store.registry import Registry

__all__ = ["Ran", "outcome_of", "run_all", "summary"]


@dataclass(frozen=True)
class Ran:
    """What came of a plan; no verdict when it could not be run, which was said, or was not reached after Ctrl-C."""

    drawn: Drawn
    verdict: Verdict | None = None
    folder: Path | None = None

    def known(self, half: Half | None) -> VerdictOutcome | None:
        """What its file says must come out."""
        return known_outcome(self.drawn.plan.scenario.expect, half)

    def as_expected(self, half: Half | None) -> bool:
        """Whether that came out."""
        expect = self.drawn.plan.scenario.expect
        return self.verdict is not None and not unexpected(expect, half, self.verdict.outcome)


def run_all(planned: Sequence[Drawn], where: Where, out: Path, registry: Registry) -> list[Ran]:
    """In their order. Raises what is wrong when there is only one and it cannot be run."""
    ran: list[Ran] = []
    with Interrupts() as interrupts:
        for number, drawn in enumerate(planned, start=1):
            if interrupts.asked():
                ran.append(Ran(drawn))
                continue
            terminal = Terminal(drawn.plan, (number, len(planned)))
            try:
                session = session_for(where, drawn.plan.scenario, out, registry)
                folder, verdict = run_one(drawn, session, (terminal, interrupts))
            except BrokenPipeError:
                raise  # nobody reads the output any more, which ends a command as Ctrl-C does
            except Exception as error:  # whatever it is, it must not take the others' verdicts with it
                if len(planned) == 1:
                    raise
                said = error if isinstance(error, HarnessError) else defect_sentence(error)
                click.echo(f"no verdict: {said}", err=True)
                ran.append(Ran(drawn))
                continue
            ran.append(Ran(drawn, verdict, folder.path))
            for line in verdict_lines(verdict, folder.path):
                click.echo(line)
    return ran


def summary(ran: Sequence[Ran], half: Half | None) -> Iterator[str]:
    """A table when there is more than one; who has no verdict is named below it."""
    if len(ran) < 2:
        return
    yield ""
    judged = [(one, one.verdict, one.folder) for one in ran if one.verdict is not None and one.folder is not None]
    known = [one.known(half) or "–" for one, _, _ in judged]
    yield from verdict_table([(verdict, folder) for _, verdict, folder in judged], known)
    without = [one.drawn.plan.scenario.name for one in ran if one.verdict is None]
    if without:
        yield f"no verdict: {', '.join(without)}"


def outcome_of(ran: Sequence[Ran], half: Half | None, *, as_expected: bool) -> VerdictOutcome:
    """The worst; a run without a verdict can tell nothing. `as_expected`: pass when each did as its file says."""
    outcomes = [one.verdict.outcome if one.verdict else VerdictOutcome.INCONCLUSIVE for one in ran]
    found = worst(outcomes)
    if not as_expected:
        return found
    if all(one.as_expected(half) for one in ran):
        return VerdictOutcome.PASS
    return VerdictOutcome.FAIL if found is VerdictOutcome.PASS else found
