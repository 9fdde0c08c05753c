"""One experiment: stack up, load on, faults in and out, stack down. Everything else is before or after this."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Protocol

from harness.faults.keeper import FaultKeeper
from harness.guard import Guard
from harness.load.progress import Progress
from harness.load.warmup import settled
from harness.model.errors import RunBroken, StackError
from harness.model.plan import Plan
from harness.record.clock import Clock
from harness.record.recorder import Recorder
from harness.stack.base import RunContext, Stack
from harness.stack.external.access import Reached

__all__ = ["Experiment", "Interrupted", "Load", "LoadFactory", "Tenancy", "run_experiment"]

TICK_S = 0.02  # how late a fault may be
START_UP_S = 120.0  # a real model of a few GB loads in less
READY_EVERY_S = 0.05
HEAL_S = 30.0  # how long a fault may take to be seen gone, after the last request: a loaded host starts slowly
FRAGILE_HEAL_S = 3.0  # since the last step, with nobody to repair it: what is not back by then stays as it is


class Interrupted(Exception):
    """Ctrl-C, SIGTERM or `harness stop`: heal, clean up, judge what there is."""


class Load(Protocol):
    """What sends the requests; see `harness.load.driver`."""

    @property
    def reason(self) -> str: ...
    def start(self) -> None: ...
    def wait_ready(self, deadline_s: float) -> bool: ...
    def begin(self, lane: str, at_monotonic_s: float) -> bool: ...
    def end(self, lane: str) -> bool: ...
    def poll(self) -> Progress: ...
    def alive(self) -> bool: ...
    def lane_done(self, lane: str) -> bool: ...
    def stop(self, grace_s: float) -> Progress: ...
    def close(self) -> None: ...


LoadFactory = Callable[[str], Load]  # takes the target's base URL, known when the stack is up


class Tenancy(Protocol):
    """How a run comes by its target, and gives it back: one of its own, or one that serves several runs."""

    runs_before: int  # that the target has served

    def up(self, run: RunContext) -> None:
        """Does not wait for readiness. Raises StackError."""

    def down(self) -> list[str] | None:
        """The run has ended. Returns what could not be put in order, in words. Safe to call at any time."""

    def guarded(self) -> bool:
        """Whether somebody would end the target if this process died now; the run's own guard is asked beside it."""


@dataclass(frozen=True)
class Experiment:
    """Everything an experiment needs, already built; it builds nothing and judges nothing."""

    plan: Plan
    stack: Stack
    tenancy: Tenancy
    make_load: LoadFactory
    run: RunContext
    clock: Clock
    recorder: Recorder
    keeper: FaultKeeper
    guard: Guard
    interrupted: Callable[[], int]  # how often the user asked to stop
    on_progress: Callable[[Progress, float], None]  # called every tick with seconds since the run's origin
    on_waiting: Callable[[str], None]  # called with what is still missing before the load can begin
    in_warm_up: Callable[[], None]  # called once, when what this process does cannot disturb a measured request


def run_experiment(it: Experiment) -> None:
    """Run it; whatever happens, the faults are healed and the stack is down when this returns or raises.

    Raises StackError when the target could not be brought up. What breaks later is recorded, not raised: the verdict
    of such a run is inconclusive.
    """
    recorder, how, begun = it.recorder, "interrupted", False
    try:
        it.guard.start()
        with ExitStack() as clean_up:
            load = _bring_up(it, clean_up)
            it.guard.confirm()
            _warm_up(it, load)
            begin_s = it.clock.now() + TICK_S
            recorder.event("schedule_begin", begin_s=begin_s - it.run.origin_monotonic_s)
            load.begin("user", begin_s)
            begun = True
            how = _walk(it, load, begin_s)
    except Interrupted:
        how = "interrupted"
    except (RunBroken, StackError, OSError) as error:
        how = "broken" if begun else "not_started"
        recorder.event("broken", reason=str(error))
        if isinstance(error, StackError) and not begun:
            raise
    finally:
        cut_off = how in ("interrupted", "broken", "not_started")
        recorder.event("run_end", interrupted=cut_off, how=how, planned_s=it.plan.duration_s)


def _bring_up(it: Experiment, clean_up: ExitStack) -> Load:
    """The target and its load, ready; `clean_up` heals the faults first, then ends the load, then the stack."""
    clean_up.callback(_whatever_happens, it.recorder, lambda: _say_down(it))
    clean_up.callback(_whatever_happens, it.recorder, it.tenancy.down)
    it.tenancy.up(it.run)
    it.recorder.event("stack_up", **({"runs_before": it.tenancy.runs_before} if it.tenancy.runs_before else {}))
    if isinstance(it.stack, Reached):
        _wait_for_target(
            it, it.clock.now() + START_UP_S
        )  # what is to be sent, and what the right answers are, is known then
    base_url = it.stack.base_url
    load = _start_load(it, base_url, clean_up)
    deadline_s = it.clock.now() + START_UP_S
    _wait_for_target(it, deadline_s)
    if it.stack.base_url != base_url:  # its port was taken by somebody else, so it came up elsewhere
        load = _start_load(it, it.stack.base_url, clean_up)  # the first one may have been ended with the first stack
    if not load.wait_ready(deadline_s):
        raise RunBroken(load.reason or f"the load generator was not ready within {START_UP_S:.0f} s")
    it.recorder.event("target_ready")
    return load


def _start_load(it: Experiment, base_url: str, clean_up: ExitStack) -> Load:
    load = it.make_load(base_url)
    clean_up.callback(_whatever_happens, it.recorder, load.close)
    clean_up.callback(_whatever_happens, it.recorder, it.keeper.heal_all)
    load.start()
    return load


def _say_down(it: Experiment) -> None:
    it.recorder.event("stack_down")


def _whatever_happens(recorder: Recorder, undo: Callable[[], list[str] | None]) -> None:
    """One step of cleaning up: its failure is recorded, if that is still possible, and never stops the next step."""
    errors: list[str] | None
    try:
        errors = undo()
    except Exception as error:  # noqa: BLE001  the next step matters more than this one's class of error
        errors = [str(error)]
    if errors:
        with suppress(RunBroken):
            recorder.event("cleanup_failed", errors=errors)


def _wait_for_target(it: Experiment, deadline_s: float) -> None:
    while (missing := it.stack.ready()) is not None:
        _stop_if_asked(it)
        _collect(it)
        it.on_waiting(missing)
        if it.clock.now() > deadline_s:
            raise StackError(
                f"the target was not ready within {START_UP_S:.0f} s: {missing}; see {it.run.folder / 'stack'}"
            )
        it.clock.sleep(READY_EVERY_S)


def _warm_up(it: Experiment, load: Load) -> None:
    """Send load until two windows agree, or the longest wait is over; the baseline check judges the rest."""
    begin_s = it.clock.now()
    load.begin("control", begin_s)
    if it.plan.scenario.warmup_max_s == 0:
        it.in_warm_up()
        return
    load.begin("warmup", begin_s)
    it.on_waiting("warm-up: two windows that agree")
    it.in_warm_up()
    steady = False
    while not steady and it.clock.now() < begin_s + it.plan.scenario.warmup_max_s:
        _stop_if_asked(it)
        it.clock.sleep(READY_EVERY_S)
        _collect(it)
        steady = settled(load.poll(), it.recorder.now_s())
        _check_alive(it, load)
    load.end("warmup")
    it.recorder.event("warmup_end", seconds=round(it.clock.now() - begin_s, 3), settled=steady)


def _walk(it: Experiment, load: Load, begin_s: float) -> str:
    """Go through the schedule's steps at their times, then let the last requests end."""
    steps, windows = list(it.plan.steps), list(it.plan.windows)
    end_s = begin_s + it.plan.duration_s
    last_s = end_s + it.plan.scenario.load.deadline_s + 0.5
    while (now := it.clock.now()) < end_s or (not load.lane_done("user") and now < last_s):
        _stop_if_asked(it)
        progress = load.poll()
        while windows and windows[0].begin_s <= now - begin_s:
            window = windows.pop(0)
            it.recorder.event("phase_begin", phase=window.phase, episode=window.episode, planned_s=window.begin_s)
        while steps and steps[0].at_s <= now - begin_s:
            it.keeper.act(steps.pop(0))
        it.keeper.poll()
        _collect(it)
        it.on_progress(progress, now - it.run.origin_monotonic_s)
        _check_alive(it, load)
        if reason := _users_lose_too_much(it, progress):
            it.recorder.event("stopped", reason=reason)
            load.stop(0.0)
            return "stopped"
        it.clock.sleep(TICK_S)
    _finish(it, load, begin_s)
    return "complete"


def _finish(it: Experiment, load: Load, begin_s: float) -> None:
    """Close the books: the last faults healed and seen healed, the target's own counters read once more."""
    load.stop(0.0)
    for error in it.keeper.heal_all():
        it.recorder.event("cleanup_failed", errors=[error])
    deadline_s = it.clock.now() + HEAL_S
    if it.plan.scenario.target.protection == "fragile":
        deadline_s = begin_s + max((step.at_s for step in it.plan.steps), default=0.0) + FRAGILE_HEAL_S
    while it.keeper.unhealed() and it.clock.now() < deadline_s:
        _stop_if_asked(it)
        it.clock.sleep(READY_EVERY_S)
        it.keeper.poll()
    _collect(it)
    for event in it.stack.final_counters():
        it.recorder.add(event)


def _collect(it: Experiment) -> None:
    for event in it.stack.poll():
        it.recorder.add(event)


def _stop_if_asked(it: Experiment) -> None:
    if it.interrupted():
        it.recorder.event("stopped", reason="interrupted by the user")
        raise Interrupted


def _check_alive(it: Experiment, load: Load) -> None:
    if not load.alive():
        raise RunBroken(f"the load generator died: {load.reason}")
    if not it.guard.alive() or not it.tenancy.guarded():
        raise RunBroken("the guard died: the run was ended, since nobody would heal the target if the harness died")


def _users_lose_too_much(it: Experiment, progress: Progress) -> str | None:
    floor = it.plan.scenario.stop_if.success_rate
    if floor is None:
        return None
    rate = progress.success_rate("user", it.recorder.now_s(), floor.for_s)
    if rate is None or rate >= floor.below:
        return None
    return f"stop_if: success rate {rate:.1%} over {floor.for_s:g} s, below {floor.below:.1%}"
