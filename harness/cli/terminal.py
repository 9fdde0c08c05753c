"""What the terminal says: what is happening, what it means, what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from harness.load.progress import Progress
from harness.model.event import Event
from harness.model.plan import Plan
from harness.model.request import Lane, Outcome
from harness.model.verdict import EpisodeResult, Verdict, VerdictOutcome

__all__ = ["Terminal", "plan_lines", "verdict_lines", "verdict_table"]

COLOURS = {VerdictOutcome.PASS: "green", VerdictOutcome.FAIL: "red", VerdictOutcome.INCONCLUSIVE: "yellow"}
OF_THE_TARGET = {
    "target.isolated": "isolated",
    "target.readmitted": "admitted again",
    "target.given_up": "given up by its supervisor",
    "target.recovery_failed": "called beyond recovery by its script",
}
WINDOW_S = 2.0
BAR = 30


class Terminal:
    """Lines that stay, and on a real terminal one live line below them."""

    def __init__(self, plan: Plan, count: tuple[int, int], console: Console | None = None) -> None:
        self._plan = plan
        self._count = count
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, refresh_per_second=5, transient=True)
        self._phase = "starting"
        self._begin_s: float | None = None
        self._progress: Progress | None = None

    def __enter__(self) -> Terminal:
        number, of = self._count
        scenario = self._plan.scenario
        head = f"[{number}/{of}] " if of > 1 else ""
        self._console.print(Text(f"{head}{scenario.name}: {scenario.hypothesis}", style="bold"))
        for line in plan_lines(self._plan)[1 : 2 + len(self._plan.resolves)]:
            self._console.print(line)
        if self._console.is_terminal:
            self._live.start()
            self.say("starting the target")
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, phase: str) -> None:
        """Change what the live line says is happening."""
        self._phase = phase
        self._show(None)

    def on_event(self, event: Event) -> None:
        """Print what matters of an event."""
        if event.kind == "schedule_begin":
            self._begin_s = float(event.fields["begin_s"])
        if event.kind == "phase_begin":
            self._say_end_of_baseline(event)
            self._phase = _phase_name(self._plan, event)
        line = _event_line(self._plan, event)
        if line and not (event.kind.startswith("target.") and self._begin_s is None):
            self._console.print(line)

    def on_waiting(self, missing: str) -> None:
        """Say what the run waits for before its load can begin."""
        self.say(f"waiting for {missing}")

    def on_progress(self, progress: Progress, now_s: float) -> None:
        """Refresh the live line."""
        self._progress = progress
        self._show(now_s)

    def _say_end_of_baseline(self, event: Event) -> None:
        if event.fields.get("phase") != "baseline" and self._phase == "baseline" and self._progress is not None:
            lane = self._progress.lane(Lane.USER)
            self._console.print(f"{'baseline':10}{lane.by_outcome[Outcome.OK]:,} of {lane.ended:,} ok")

    def _show(self, now_s: float | None) -> None:
        if not self._live.is_started:
            return
        if now_s is None or self._begin_s is None or self._progress is None:
            self._live.update(Text(f"{self._phase} …", style="dim"))
            return
        done = min(1.0, max(0.0, (now_s - self._begin_s) / self._plan.duration_s))
        lane = self._progress.lane(Lane.USER)
        lost = (
            lane.ended
            - lane.by_outcome[Outcome.OK]
            - lane.by_outcome[Outcome.NOT_SENT]
            - lane.by_outcome[Outcome.IN_FLIGHT_AT_END]
        )
        rate = self._progress.success_rate(Lane.USER, now_s, WINDOW_S)
        bar = "━" * round(done * BAR) + "╌" * (BAR - round(done * BAR))
        counts = f"{lane.by_outcome[Outcome.OK]:,} ok  {lost:,} lost  {lane.in_flight} open"
        text = f"{self._phase:20} {bar} {done:4.0%}  {counts}"
        now = "" if rate is None else f"  now {rate:.0%}"
        self._live.update(Text(text + now, style="red" if rate is not None and rate < 1 else ""))


def plan_lines(plan: Plan) -> list[str]:
    """The plan in words; the first line names it, the second counts, the next say what it can resolve."""
    scenario = plan.scenario
    episodes = f"{scenario.episodes} episode{'s' * (scenario.episodes != 1)}, " if scenario.faults else "no faults, "
    mix = ", ".join(plan.tasks)
    load = f"{scenario.load.rate_per_s:g}/s {scenario.load.arrivals}"
    lines = [
        f"{scenario.name}: {scenario.hypothesis}",
        f"{'plan':10}{episodes}{plan.requests:,} requests ({load}: {mix}), {_duration(plan.duration_s)}",
        *(f"{'':10}{sentence}" for sentence in plan.resolves),
    ]
    lines += [f"{'target':10}{name}: {what}" for name, what in plan.target.items()]
    lines += [f"{'switched':10}{name}={value}, by the environment" for name, value in plan.environment.items()]
    for step in plan.steps[:20]:
        fault = scenario.faults[step.fault]
        lines.append(f"{step.at_s:7.1f} s  {step.action:8} {fault.kind} on {fault.on}  (episode {step.episode})")
    if len(plan.steps) > 20:
        lines.append(f"{'':10}… and {len(plan.steps) - 20} more steps")
    lines.append(f"{'replay':10}{plan.replay}")
    return lines


def verdict_lines(verdict: Verdict, folder: Path) -> Iterator[str]:
    """The verdict in a few lines, and what to do next."""
    for one in verdict.episodes[:20]:
        yield f"{f'{one.number}/{len(verdict.episodes)}':10}{_episode(one)}"
    yield click.style(f"{verdict.outcome.upper():13}", fg=COLOURS[verdict.outcome], bold=True) + f" {verdict.reason}"
    sli = verdict.sli
    lost = ", ".join(
        f"{n:,} {name.replace('_', ' ')}"
        for name, n in sli["outcomes"].items()
        if n and name not in ("ok", "not_sent", "in_flight_at_end")
    )
    how = f": {lost}" if lost else ""
    yield f"{'lost':10}{sli['lost']:,} of {sli['eligible']:,}{how}; {sli['wrong_answers']:,} wrong answers"
    worst = max((one for one in verdict.episodes), key=lambda one: one.lost_requests, default=None)
    if worst is not None:
        yield f"{'next':10}harness explain {folder} {worst.number}"
    yield f"{'replay':10}{verdict.run['replay']}"
    yield f"{'report':10}{folder / 'report.html'}"


def verdict_table(verdicts: Sequence[tuple[Verdict, Path]], expected: Sequence[str]) -> Iterator[str]:
    """One line a scenario."""
    width = max((len(verdict.scenario) for verdict, _ in verdicts), default=8)
    yield f"{'scenario':{width}}  {'verdict':13} {'known':6} {'lost':>12}  {'wrong':>5}  back after"
    for (verdict, _), known in zip(verdicts, expected, strict=False):
        spans = [one.recovery_s for one in verdict.episodes if one.recovery_s is not None]
        ends = [span.high for span in spans]
        back = "–" if not ends else "not seen" if None in ends else f"{max(end or 0 for end in ends):.1f} s"
        sli = verdict.sli
        lost = f"{sli['lost']:,}/{sli['eligible']:,}"
        name = f"{verdict.scenario:{width}}  {verdict.outcome.upper():13} {known:6}"
        yield f"{name} {lost:>12}  {sli['wrong_answers']:>5}  {back}"
    for verdict, path in verdicts:
        yield f"{verdict.scenario:{width}}  {path / 'report.html'}"


def _episode(one: EpisodeResult) -> str:
    proof = f"proven: {one.proof}" if one.proven else f"NOT proven: {one.proof}"
    if one.recovery_s is None:
        back = "nothing lost" if one.lost_requests == 0 else f"{one.lost_requests:,} lost, no more than in the baseline"
    elif one.recovery_s.high is None:
        back = f"{one.lost_requests:,} lost, not served again by the end"
    else:
        back = f"{one.lost_requests:,} lost, served again after {one.recovery_s.low:.1f}–{one.recovery_s.high:.1f} s"
    did = f"; {one.supervision}" if one.supervision else ""
    doubt = "" if one.valid else f"  [{one.invalid_reason}]"
    return f"{', '.join(one.faults)}: {back}; {proof}{did}{doubt}"


def _event_line(plan: Plan, event: Event) -> str | None:
    fields = event.fields
    if event.kind == "fault_begin":
        return f"{'fault':10}{fields['fault_kind']} on {fields['on']}{_of(plan, fields['episode'])}"
    if event.kind == "fault_skipped":
        return f"{'skipped':10}{fields['reason']}{_of(plan, fields['episode'])}"
    if event.kind in ("stopped", "broken"):
        return f"{event.kind:10}{fields['reason']}"
    if event.kind == "cleanup_failed":
        return f"{'clean-up':10}failed: {'; '.join(fields['errors'])}"
    if event.kind in OF_THE_TARGET:
        return f"{'target':10}{fields['replica']} {OF_THE_TARGET[event.kind]}"
    return None


def _of(plan: Plan, episode: int) -> str:
    return f"  (episode {episode} of {plan.scenario.episodes})" if plan.scenario.episodes > 1 else ""


def _phase_name(plan: Plan, event: Event) -> str:
    phase, episode = str(event.fields["phase"]), int(event.fields["episode"])
    return f"{phase} {episode}/{plan.scenario.episodes}" if episode and plan.scenario.episodes > 1 else phase


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
