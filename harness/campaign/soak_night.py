"""One night of real trials through the harness's own session: plan, run, judge, store."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from harness.campaign.circumstances import circumstances
from harness.campaign.drift_samples import sampled_in
from harness.campaign.use_watch import UseWatch
from harness.model.errors import RunFolderError
from harness.model.soak import SoakFile
from harness.model.soak_trials import Night
from harness.plan.make_plan import Drawn, make_plan
from harness.session import Session, Watcher, facts, judge_folder, run_session
from harness.soak.records import Circumstances, night_of
from harness.soak.resolves import what_it_can_resolve
from harness.soak.schedule import NightSchedule, as_scenario, draw_night
from harness.stack.fake.stack import FakeStack
from harness.store.folder import RunFolder
from harness.store.trials import TrialStore

__all__ = ["Field", "measure_night", "plan_night", "record_run", "scheduled_plan", "watched_session"]


@dataclass(frozen=True)
class Field:
    """Where nights are measured and kept."""

    session: Session
    model: Path
    store: TrialStore


def plan_night(soak: SoakFile, session: Session, seed: str, budget_s: float, earlier: int = 0) -> Drawn:
    """The plan of a night. Raises ScenarioError when the budget is too short, CapabilityError as every plan."""
    schedule = draw_night(soak, seed, budget_s)
    return scheduled_plan(soak, session, seed, (schedule, soak.measured_rate_per_s), earlier)


def scheduled_plan(
    soak: SoakFile, session: Session, seed: str, when: tuple[NightSchedule, float], earlier: int = 0
) -> Drawn:
    """A plan of trials at moments of their own, at one rate."""
    schedule, rate_per_s = when
    scenario = as_scenario(soak, schedule, rate_per_s)
    drawn = make_plan(scenario, facts(session.stack), seed, (schedule.windows, schedule.steps))
    replay = f"harness soak measure {soak.file} --stack {session.stack.name} --seed {seed}"
    resolves = what_it_can_resolve(soak, schedule, earlier) if schedule.types else ()
    return dataclasses.replace(drawn, plan=dataclasses.replace(drawn.plan, replay=replay, resolves=resolves))


def measure_night(soak: SoakFile, drawn: Drawn, field: Field, run_id: str, watcher: Watcher) -> tuple[RunFolder, Night]:
    """Run it and store every trial. What an interrupted night has measured is stored as well."""
    folder = watched_session(drawn, field.session, run_id, watcher)
    night = record_run(soak, folder, field)
    field.store.add(night)
    return folder, night


def watched_session(drawn: Drawn, session: Session, run_id: str, watcher: Watcher) -> RunFolder:
    """Run a plan and look at what its processes use meanwhile: a fake target has none. As `run_session`."""
    if isinstance(session.stack, FakeStack):
        return run_session(drawn, session, run_id, watcher)
    use = UseWatch(session.out / run_id)
    try:
        return run_session(drawn, session, run_id, use.beside(watcher))
    finally:
        use.close()


def record_run(soak: SoakFile, folder: RunFolder, field: Field, *, real_time: bool = False) -> Night:
    """Judge a run of trials and make its records.

    Raises RunFolderError for a folder that is no such run, and (then its cause is an OSError) when the disk refuses.
    """
    history = folder.read()
    around: Circumstances = circumstances(
        soak, field.session.stack, field.model, history.header.commit, real_time=real_time
    )
    sampled, not_sampled = sampled_in(folder.stack)
    around = dataclasses.replace(around, sampled=sampled, not_sampled=not_sampled)
    try:
        verdict = judge_folder(folder)
    except OSError as error:
        raise RunFolderError(
            f"{folder.path} could not be judged ({error.strerror}): nothing is lost, the folder holds it all; make "
            "room, then add it with 'harness soak add'"
        ) from error
    try:
        return night_of(soak, history, verdict, around)
    except KeyError as error:
        raise RunFolderError(f"{folder.path} was not measured with {soak.file}: its faults are others") from error
