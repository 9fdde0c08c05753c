"""One run from plan to report: makes the folder, builds what the experiment needs, judges, renders."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import harness
from harness.experiment import Experiment, Load, run_experiment
from harness.faults.keeper import FaultKeeper
from harness.guard import Guard, NoGuard, ProcessGuard, own_run
from harness.kept_stack import KeptStack, OwnStack
from harness.load.driver import LoadDriver
from harness.load.elsewhere import DriverElsewhere
from harness.load.fake import FakeLoad
from harness.load.progress import Progress
from harness.load.spec import LoadSpec
from harness.model.capability import Capability
from harness.model.event import Event
from harness.model.fault import Fault
from harness.model.history import Header
from harness.model.network_faults import NetworkFault
from harness.model.plan import Arrivals, Plan, Task
from harness.model.verdict import ResourceUse, Verdict
from harness.monitor.alerts import ALERT, alert_record
from harness.monitor.kept import METRICS, Kept, read_metrics
from harness.monitor.resource_use import resource_use
from harness.plan.arrivals import control_arrivals
from harness.plan.make_plan import Drawn, TargetFacts
from harness.record.append import AppendLog
from harness.record.clock import Clock, FakeClock, SystemClock
from harness.record.journal import Journal, pending
from harness.record.recorder import Recorder
from harness.scenario_files import rules_of
from harness.stack.base import Configurable, Limited, RunContext, Stack
from harness.stack.external.access import Access, Reached
from harness.stack.fake.stack import FakeStack
from harness.stack.keyed import USER_KEY, Keyed
from harness.stack.load_place import CarriesLoad
from harness.stack.owned import RUN_LABEL, owned_processes
from harness.stack.switches import Switched
from harness.store.folder import RunFolder
from harness.store.registry import Registry

__all__ = ["Session", "Watcher", "facts", "judge_folder", "make_clock", "render_folder", "run_session"]

KEEP_S_MIN = 60.0


@dataclass(frozen=True)
class Watcher:
    """Who is told how it goes, and who says that it should end."""

    on_event: Callable[[Event], None]
    on_progress: Callable[[Progress, float], None]
    on_waiting: Callable[[str], None]
    interrupted: Callable[[], int]


@dataclass(frozen=True)
class Session:
    """Where a run happens."""

    stack: Stack
    clock: Clock
    out: Path  # run folders are made in here
    registry: Registry
    environ: Mapping[str, str]
    kept: KeptStack | None = None  # which the stack is of, if it serves other runs too

    @property
    def home(self) -> Path | None:
        """Where the stack lives, if it outlives the run."""
        return None if self.kept is None else self.kept.home.folder


def facts(stack: Stack, replay: str = "") -> TargetFacts:
    """What the planner needs to know of a stack; `replay`: more words for the command that repeats the plan."""
    switches = stack.switches() if isinstance(stack, Switched) else {}
    known = (stack.name, stack.capabilities, stack.describe(), stack.prompts(), stack.links(), replay, switches)
    because = stack.why_limited() if isinstance(stack, Limited) else ""
    options = stack.target_options() if isinstance(stack, Configurable) else {}
    return TargetFacts(*known, *rules_of(stack), because=because, options=options)


def run_session(drawn: Drawn, session: Session, run_id: str, watcher: Watcher) -> RunFolder:
    """Run a plan. Whatever happens, what was recorded lies in the folder that is returned; a StackError is raised."""
    folder, clock = RunFolder((session.out / run_id).resolve()), session.clock
    folder.create()
    origin_s = clock.now()
    header = Header(run_id, harness.__version__, _commit(), _host(), clock.wall(), origin_s)
    longest_s = drawn.plan.duration_s + drawn.plan.scenario.warmup_max_s + 60.0
    lanes = {"user": drawn.user, "warmup": drawn.warmup, "control": control_arrivals(longest_s)}
    folder.write_plan(drawn.plan, header, lanes)
    run = own_run(run_id, folder.path)
    real = not isinstance(session.stack, FakeStack)
    guard: Guard = ProcessGuard(run, session.registry, session.environ) if real else NoGuard()
    recorder = Recorder(AppendLog(folder.events), clock, origin_s)
    journal = Journal(folder.undo)
    recorder.listen(watcher.on_event)
    left_behind: list[Event] = []
    recorder.listen(lambda event: left_behind.append(event) if event.kind == "cleanup_failed" else None)
    context = _context(drawn.plan, folder, run_id, origin_s)
    keeper = FaultKeeper(drawn.plan, session.stack, recorder, (run_id, folder.path, journal), home=session.home)
    make_load = _load_factory(drawn, session, (folder, context), lanes)
    try:
        if real:
            session.registry.add(run)
        recorder.event("run_begin", run_id=run_id)
        run_experiment(
            Experiment(
                drawn.plan,
                session.stack,
                session.kept or OwnStack(session.stack),
                make_load,
                context,
                clock,
                recorder,
                keeper,
                guard,
                watcher.interrupted,
                watcher.on_progress,
                watcher.on_waiting,
                partial(_import_ahead, drawn.plan) if real else _nothing,
            )
        )
    finally:
        journal.close()
        recorder.close()
        if left_behind or pending(folder.undo) or any(owned_processes(run_id)):
            guard.hand_over()  # it tries again, for long; then the next command's sweep, or `harness undo`
        else:
            session.registry.remove(run_id)
            guard.disarm()
    return folder


def _context(plan: Plan, folder: RunFolder, run_id: str, origin_s: float) -> RunContext:
    wanted = plan.scenario
    return RunContext(run_id, folder.path, origin_s, plan.seed, wanted.target, plan.tasks, needs_of(wanted.faults))


def judge_folder(folder: RunFolder) -> Verdict:
    """Judge a recorded run, by today's rules, and write its verdict and reports."""
    from harness.analysis.judge import judge  # here, since pandas takes half a second; see _import_ahead
    from harness.log_evidence import with_log_evidence
    from harness.render.words import worst_first
    from harness.store.logs import excerpts

    kept = read_metrics(folder.stack / METRICS)
    history = replace(folder.read(), alerts=alert_record(kept))
    verdict = judge(history)
    worst = worst_first(verdict.episodes)
    logs = excerpts(folder.stack, history.header, float(verdict.run["schedule_begin_s"]), worst)
    verdict = replace(verdict, logs=logs, resources=_resources(kept, verdict))
    verdict = with_log_evidence(verdict, folder, history)
    render_folder(folder, verdict)
    return verdict


def _resources(kept: Kept | None, verdict: Verdict) -> tuple[ResourceUse, ...]:
    """From what a Prometheus beside the run saw, if there was one."""
    if kept is None:
        return ()
    begin_s, lasts_s = float(verdict.run["schedule_begin_s"]), float(verdict.run["duration_s"])
    baseline_s = sum(phase.seconds for phase in verdict.phases if phase.phase == "baseline")
    series = [one for one in kept.series if one.name != ALERT]
    return resource_use(series, kept.every_s, (begin_s, begin_s + lasts_s), begin_s + baseline_s)


def render_folder(folder: RunFolder, verdict: Verdict) -> None:
    """Write every report of a verdict."""
    from harness.render import RENDERERS

    for name, renderer in RENDERERS.items():
        folder.write(name, renderer(verdict))


def needs_of(faults: Sequence[Fault]) -> dict[str, frozenset[Capability]]:
    """What faults need, by the name of what they are on."""
    found: dict[str, frozenset[Capability]] = {}
    for fault in faults:
        found[fault.on] = found.get(fault.on, frozenset()) | fault.capabilities
    return found


def _import_ahead(plan: Plan) -> None:
    """What judging and rendering import takes 1.5 s, which nobody waits for in the warm-up; no fault should, either."""
    import harness.analysis.judge
    import harness.analysis.log_forest as forest
    import harness.monitor.reader
    import harness.render.charts
    import harness.store.requests

    forest.import_ahead(plan.scenario.phases.baseline_s)
    if any(isinstance(fault, NetworkFault) for fault in plan.scenario.faults):
        import harness.stack.toxiproxy_api  # noqa: F401


def _nothing() -> None:
    """A fake run lasts milliseconds and has nothing to wait for."""


def _load_factory(
    drawn: Drawn, session: Session, where: tuple[RunFolder, RunContext], lanes: Mapping[str, Arrivals]
) -> Callable[[str], Load]:
    folder, context = where
    load = drawn.plan.scenario.load
    floor = drawn.plan.scenario.stop_if.success_rate
    keep_s = max(KEEP_S_MIN, floor.for_s if floor else 0.0)

    def make_load(base_url: str) -> Load:
        reached = session.stack.access() if isinstance(session.stack, Reached) else None
        key = session.stack.user_key() if isinstance(session.stack, Keyed) else None
        spec = LoadSpec(
            base_url=base_url,
            log_path=str(folder.request_log),
            origin_monotonic_s=context.origin_monotonic_s,
            run_id=context.run_id,
            deadline_s=load.deadline_s,
            tasks=_with_answers(drawn.tasks, reached),
            lanes=lanes,
            connections=load.connections,
            retries=load.retries,
            prompt_words=load.prompt_words,
            output_tokens=load.output_tokens,
            **(_how(reached) if key is None else {"api_key_env": USER_KEY}),
        )
        if isinstance(session.stack, FakeStack):
            return FakeLoad(spec, session.stack, session.clock, keep_s)
        environ = {**session.environ, RUN_LABEL: context.run_id, **({} if key is None else {USER_KEY: key})}
        if isinstance(session.stack, CarriesLoad):
            place = session.stack.load_place()
            return DriverElsewhere(spec, folder.path, session.clock, environ, place, keep_s=keep_s)
        return LoadDriver(spec, folder.path, session.clock, environ, keep_s=keep_s)

    return make_load


def _with_answers(tasks: tuple[Task, ...], reached: Access | None) -> tuple[Task, ...]:
    """The same tasks with the answers that were recorded of a foreign target."""
    if reached is None:
        return tasks
    return tuple(replace(task, prompts=reached.prompts[task.name.removesuffix("_stream")]) for task in tasks)


def _how(reached: Access | None) -> dict[str, Any]:
    """How requests are sent to a foreign target."""
    if reached is None:
        return {}
    names = ("model", "host", "api_key_env", "ca_file", "salted", "ends_with_done")
    return {name: getattr(reached, name) for name in names}


def make_clock(stack_name: str) -> Clock:
    """Time for a stack: the fake one has its own."""
    return FakeClock() if stack_name == "fake" else SystemClock()


def _commit() -> str | None:
    """The commit of the working tree, for the header; None outside of one."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _host() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
