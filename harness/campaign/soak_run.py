"""`soak run`: real time, leg after leg, with a journal that a reboot cannot take away; bounded in disk and memory."""

from __future__ import annotations

import dataclasses
import errno
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.campaign.run_journal import LegEnd, RunJournal, Unfinished, boot_id
from harness.campaign.soak_night import Field, record_run, scheduled_plan, watched_session
from harness.model.errors import RunBroken, RunFolderError
from harness.model.soak import SoakFile
from harness.model.soak_trials import Night
from harness.plan.make_plan import Drawn
from harness.record.append import being_written
from harness.session import Session, Watcher
from harness.soak.real_time import Leg, Moment, draw_moments, leg_schedule, next_leg
from harness.soak.schedule import NightSchedule
from harness.stack.base import Stack
from harness.store.folder import RunFolder

__all__ = ["RealTime", "free_room", "run_real_time"]

KEEP_LEGS = 24  # folders; the records of all legs stay in the store
LOG_BYTES = 300  # of a request while its leg lasts: two lines of the log and its place in the schedule
SPARE_BYTES = 200_000_000
GUARD_S = 20.0  # for the guard of a leg that broke off, to heal and clear
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
JUMP_S = 5.0  # between wall and monotonic clock over a leg: the machine slept, or its clock was set


@dataclass(frozen=True)
class RealTime:
    """A run in its own folder. `leg_s`: how long one life of the stack lasts."""

    soak: SoakFile
    field: Field
    folder: Path
    hours: float
    leg_s: float
    seed: str
    fresh_stack: Callable[[], Stack]  # a stack serves one run, and each leg is one
    boot: str = dataclasses.field(default_factory=boot_id)

    @property
    def journal(self) -> RunJournal:
        return RunJournal(self.folder / "run.jsonl")


Watch = Callable[[Drawn], Watcher]


def run_real_time(it: RealTime, watch: Watch, new_id: Callable[[], str], say: Callable[[str], None]) -> bool:
    """Go on from where the journal is until the schedule's end. False: asked to stop before.

    Raises RunBroken when the disk is too full for the next leg. Whatever happens, what was recorded is in the store or
    in the folder of the leg that broke off, from which the next start takes it.
    """
    journal = it.journal
    _, done, open_leg = journal.read()
    if open_leg is not None:
        done = _take_up(it, open_leg, done)
        why = "the machine was started anew" if _rebooted(it, open_leg) else "the harness had died"
        say(f"leg {open_leg.run_id} had broken off, as {why}: the schedule goes on at {done.end_s / 3600:.2f} h")
    moments = draw_moments(it.soak, it.hours, it.seed)
    number = 1
    while (leg := _next(it, moments, done, number)) is not None:
        free_room(it.folder, leg)
        run_id = new_id()
        session = dataclasses.replace(it.field.session, stack=it.fresh_stack(), out=it.folder)
        drawn = scheduled_plan(it.soak, session, f"{it.seed}/{leg.begin_s:.0f}", _placed(it, leg))
        journal.leg_begins(run_id, leg.begin_s, it.field.session.clock.wall(), it.boot)
        watcher = watch(drawn)
        night = _run_leg(it, (drawn, session), run_id, watcher)
        done = LegEnd(leg.begin_s + night.duration_s, done.injected + len(night.trials))
        stopped = bool(watcher.interrupted())
        journal.leg_ended(run_id, done, "stopped" if stopped else "complete")
        _drop_old(it.folder)
        say(f"{done.end_s / 3600:.2f} of {it.hours:g} h; {done.injected} faults so far")
        if stopped:
            return False
        if night.duration_s < 1.0:
            raise RunBroken(f"leg {run_id} ended at once: see its folder in {it.folder}; nothing more was started")
        number += 1
    return True


def free_room(folder: Path, leg: Leg) -> None:
    """Raises RunBroken when what the leg will write would not fit; nothing has been started then."""
    need = int((leg.end_s - leg.begin_s) * (leg.rate_per_s + 5) * LOG_BYTES) + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < need:
        raise RunBroken(
            f"{folder} has {free / 1e6:,.0f} MB left and the next leg needs {need / 1e6:,.0f} MB: make room, then "
            "go on with 'harness soak run --resume'; nothing recorded is lost"
        )


def _next(it: RealTime, moments: tuple[Moment, ...], done: LegEnd, number: int) -> Leg | None:
    return next_leg(it.soak, moments[done.injected :], done.end_s, (it.hours * 3600, it.leg_s), number)


def _placed(it: RealTime, leg: Leg) -> tuple[NightSchedule, float]:
    return leg_schedule(it.soak, leg), leg.rate_per_s


def _run_leg(it: RealTime, what: tuple[Drawn, Session], run_id: str, watcher: Watcher) -> Night:
    drawn, session = what
    clock = session.clock
    wall_s, now_s = clock.wall_s(), clock.now()
    folder = watched_session(drawn, session, run_id, watcher)
    night = _recorded(it, folder)
    jump_s = (clock.wall_s() - wall_s) - (clock.now() - now_s)
    if abs(jump_s) > JUMP_S:
        doubt = f"the wall clock moved by {jump_s:+.0f} s against the monotonic one: the machine slept, or it was set"
        night = dataclasses.replace(night, trusted=False, doubts=(*night.doubts, doubt))
    it.field.store.add(night)
    _slim(folder)
    return night


def _take_up(it: RealTime, leg: Unfinished, done: LegEnd) -> LegEnd:
    """What a leg had recorded before it broke off; nothing, if it never got to its first request."""
    folder = RunFolder(it.folder / leg.run_id)
    clock = it.field.session.clock
    deadline_s = clock.now() + GUARD_S
    while being_written(folder.events) and clock.now() < deadline_s and not _rebooted(it, leg):
        clock.sleep(0.5)
    try:
        night = _recorded(it, folder)
    except RunFolderError as error:
        end = LegEnd(leg.begin_s, done.injected)
        it.journal.leg_ended(leg.run_id, end, f"nothing recorded: {error}")
        return end
    it.field.store.add(night)
    end = LegEnd(leg.begin_s + night.duration_s, done.injected + len(night.trials))
    it.journal.leg_ended(leg.run_id, end, "broken off")
    _slim(folder)
    return end


def _rebooted(it: RealTime, leg: Unfinished) -> bool:
    """Whether nothing that the leg started can be alive."""
    return bool(leg.boot and it.boot and leg.boot != it.boot)


def _recorded(it: RealTime, folder: RunFolder) -> Night:
    """Judge a leg. Raises RunBroken when the disk refuses, and RunFolderError for a leg that is not one.

    A full disk is no reason to give a leg up: its end is not yet in the journal, so the next start takes it up again.
    """
    try:
        return record_run(it.soak, folder, it.field, real_time=True)
    except RunFolderError as error:
        refused = error.__cause__
        if not isinstance(refused, OSError) or refused.errno not in NO_ROOM:
            raise
        raise RunBroken(
            f"{folder.path}: the leg could not be judged ({refused.strerror}); it is recorded, and nothing is lost: "
            "make room, then go on with 'harness soak run --resume'"
        ) from error


def _slim(folder: RunFolder) -> None:
    """Drop what is not needed again: the target's logs and copies of the model, the load child's schedule."""
    with suppress(OSError):  # a disk without room for it keeps them as they are
        folder.pack()
    shutil.rmtree(folder.stack, ignore_errors=True)
    (folder.path / "load.json").unlink(missing_ok=True)


def _drop_old(folder: Path) -> None:
    """The folders of all but the last legs: the store has their records."""
    legs = sorted(path for path in folder.iterdir() if path.is_dir())
    for path in legs[:-KEEP_LEGS]:
        shutil.rmtree(path, ignore_errors=True)
