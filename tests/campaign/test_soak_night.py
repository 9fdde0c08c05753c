"""Nights on the fake stack: planned, run, recorded, stored, taken up again, in milliseconds of real time."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from harness.campaign.run_journal import LegEnd, RunJournal, boot_id
from harness.campaign.soak_night import Field, measure_night, plan_night, record_run
from harness.campaign.soak_run import RealTime, free_room, run_real_time
from harness.model.errors import RunBroken, RunFolderError
from harness.model.soak import SoakFile
from harness.record.append import AppendLog
from harness.record.clock import FakeClock
from harness.session import Session, Watcher
from harness.soak.parse import parse_soak
from harness.soak.real_time import Leg
from harness.soak.sample import sample_of
from harness.stack.fake.stack import FakeStack
from harness.store.folder import RunFolder
from harness.store.registry import Registry
from harness.store.trials import TrialStore

pytestmark = pytest.mark.whole

TEXT = """name: brief
days: 30
target: {supervision: {max_restarts: 99, stable_s: 2}}
load: {rate_per_s: 20}
faults:
  - {name: crash, inject: [{kind: process.kill}], rate: {events: 2, exposure_days: 0.002, source: a test}}
  - name: both
    inject: [{kind: process.stop}, {kind: process.stop, on: standby, at_s: 2}]
    rate: {assumed_per_30_days: 1}
objectives: {success_rate: {min: 0.9}}
measure: {trial_s: 8, gap_s_min: 1, gap_s_max: 3, fault_free_s: 20}
warmup_max_s: 5
"""
SOAK = parse_soak(TEXT, "brief.yaml")


def field_in(folder: Path, clock: FakeClock | None = None) -> Field:
    clock = clock or FakeClock()
    session = Session(FakeStack(clock), clock, folder / "out", Registry(folder / "live"), {})
    return Field(session, folder / "model", TrialStore(folder / "store" / "trials.jsonl"))


def watcher(stop_after_s: float = float("inf")) -> Watcher:
    now = [0.0]

    def on_progress(_: object, now_s: float) -> None:
        now[0] = now_s

    return Watcher(lambda _: None, on_progress, lambda _: None, lambda: int(now[0] > stop_after_s))


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Field:
    field = field_in(tmp_path_factory.mktemp("night"))
    drawn = plan_night(SOAK, field.session, "s", 240)
    measure_night(SOAK, drawn, field, "one", watcher())
    return field


def test_every_trial_becomes_an_episode_record_with_the_fakes_round_numbers(measured: Field) -> None:
    (night,), damage = measured.store.read()
    assert damage == () and night.trusted
    crashes = [trial for trial in night.trials if trial.fault_type == "crash"]
    assert len(crashes) >= 5 and all(trial.valid for trial in night.trials), [t.invalid_reason for t in night.trials]
    for one in crashes:
        assert (one.detect_s, one.isolate_s, one.restore_s, one.verify_s) == pytest.approx((0.25, 0.75, 3.0, 3.25))
        assert one.recovery_s is not None and one.recovery_s[1] == pytest.approx(0.75, abs=0.5)
        assert 5 <= one.lost <= 30 and one.wrong == 0 and one.incident


def test_every_request_of_a_night_is_in_one_trial_or_the_fault_free_stretch(measured: Field) -> None:
    (night,), _ = measured.store.read()
    assert night.fault_free is not None
    assert night.scheduled == night.fault_free.requests + sum(trial.requests for trial in night.trials)
    assert night.lost == night.fault_free.lost + sum(trial.lost for trial in night.trials)


def test_gaps_and_order_are_those_of_the_plan(measured: Field) -> None:
    (night,), _ = measured.store.read()
    gaps = [trial.gap_s for trial in night.trials]
    assert gaps[0] == pytest.approx(20, abs=0.1) and len({round(gap) for gap in gaps[1:]}) > 1
    assert all(6.9 <= gap <= 11.2 for gap in gaps[1:])
    assert [trial.order for trial in night.trials] == list(range(1, len(night.trials) + 1))


def test_a_night_that_is_interrupted_keeps_what_it_had_measured(tmp_path: Path) -> None:
    field = field_in(tmp_path)
    drawn = plan_night(SOAK, field.session, "s", 240)
    measure_night(SOAK, drawn, field, "one", watcher(stop_after_s=80))
    (night,), _ = field.store.read()
    assert 2 <= sum(trial.valid for trial in night.trials) < len(drawn.plan.steps) / 3


def test_a_plan_says_before_anything_is_touched_what_it_can_resolve(tmp_path: Path) -> None:
    said = "; ".join(plan_night(SOAK, field_in(tmp_path).session, "s", 240).plan.resolves)
    assert "INCONCLUSIVE to be expected: 30 of each are needed" in said
    assert "no P(met), but break-even rates and a range: the rate of both is assumed" in said
    assert "p50 of each recovery can be bounded" in said


def test_a_store_of_another_version_is_refused_and_a_torn_line_is_said(measured: Field, tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    whole = measured.store.path.read_text()
    path.write_text(whole + whole[: len(whole) // 2])
    nights, damage = TrialStore(path).read()
    assert len(nights) == 1 and damage == ("trials.jsonl:2 is not a whole record and was left out",)
    path.write_text(json.dumps({**json.loads(whole), "v": 99}) + "\n")
    with pytest.raises(RunFolderError, match="written by version 99 of the store"):
        TrialStore(path).read()


def test_a_full_disk_is_a_sentence_that_says_where_the_trials_are(measured: Field, tmp_path: Path) -> None:
    (night,), _ = measured.store.read()
    with pytest.raises(RunFolderError, match="nothing is lost, the run's folder holds it all"):
        TrialStore(Path("/dev/full/x") / "trials.jsonl").add(night)


def real_time(tmp_path: Path, soak: SoakFile = SOAK, hours: float = 0.1) -> RealTime:
    clock = FakeClock()
    field = field_in(tmp_path, clock)
    it = RealTime(soak, field, tmp_path / "real", hours, 120.0, "s", lambda: FakeStack(clock))
    it.folder.mkdir()
    it.journal.begin(hours=hours, leg_s=120.0, seed="s")
    return it


def ids() -> object:
    numbers = iter(range(1, 100))
    return lambda: f"leg-{next(numbers):02}"


def test_real_time_goes_to_its_end_in_legs_and_every_leg_is_in_the_store(tmp_path: Path) -> None:
    it = real_time(tmp_path)
    assert run_real_time(it, lambda _: watcher(), ids(), lambda _: None)  # type: ignore[arg-type]
    nights, _ = it.field.store.read()
    assert len(nights) >= 3 and all(night.real_time for night in nights)
    assert sum(night.duration_s for night in nights) == pytest.approx(360, abs=15)
    assert sum(len(night.trials) for night in nights) == it.journal.read()[1].injected > 0
    leg = RunFolder(it.folder / "leg-01")
    assert not leg.stack.exists() and not leg.events.exists()
    assert len(leg.read().events) > 30 and record_run(SOAK, leg, it.field, real_time=True).trials == nights[0].trials


def test_a_leg_that_broke_off_is_taken_up_and_the_schedule_goes_on(tmp_path: Path) -> None:
    """As SIGKILL leaves it: the leg's begin is in the journal, its records are in its folder, its end is nowhere."""
    it = real_time(tmp_path)
    assert not run_real_time(it, lambda _: watcher(stop_after_s=60), ids(), lambda _: None)  # type: ignore[arg-type]
    lines = it.journal.path.read_text().splitlines()
    it.journal.path.write_text("\n".join(line for line in lines if "leg_end" not in line) + "\n" + '{"kind":"leg_')
    it.field.store.path.unlink()
    said: list[str] = []
    again = iter(range(50, 99))
    assert run_real_time(it, lambda _: watcher(), lambda: f"leg-{next(again)}", said.append)
    assert "had broken off: the schedule goes on at 0.01" in said[0] or "goes on at 0.02" in said[0]
    nights, _ = it.field.store.read()
    assert nights[0].run_id == "leg-01" and 30 < nights[0].duration_s < 70
    assert sum(night.duration_s for night in nights) == pytest.approx(360, abs=15)


def test_a_leg_of_which_nothing_is_left_is_run_again(tmp_path: Path) -> None:
    it = real_time(tmp_path)
    it.journal.leg_begins("leg-00", 0.0, "2000")
    assert run_real_time(it, lambda _: watcher(), ids(), lambda _: None)  # type: ignore[arg-type]
    nights, _ = it.field.store.read()
    assert sum(night.duration_s for night in nights) == pytest.approx(360, abs=15)


def test_a_clock_that_jumps_makes_its_leg_a_doubt_and_loses_nothing(tmp_path: Path) -> None:
    class Jumping(FakeClock):
        def wall_s(self) -> float:
            return 10 * super().wall_s()

    it = real_time(tmp_path, hours=0.03)
    clock = Jumping()
    it = dataclasses.replace(it, field=field_in(tmp_path, clock), fresh_stack=lambda: FakeStack(clock))
    assert run_real_time(it, lambda _: watcher(), ids(), lambda _: None)  # type: ignore[arg-type]
    nights, _ = it.field.store.read()
    assert nights and not nights[0].trusted and "the wall clock moved by +" in nights[0].doubts[-1]


def test_a_disk_that_is_too_full_for_the_next_leg_stops_before_it(tmp_path: Path) -> None:
    with pytest.raises(RunBroken, match="make room, then go on with 'harness soak run --resume'"):
        free_room(tmp_path, Leg(1, 0.0, 1e9, 1e6, ()))


def test_old_legs_leave_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.campaign.soak_run.KEEP_LEGS", 2)
    it = real_time(tmp_path)
    run_real_time(it, lambda _: watcher(), ids(), lambda _: None)  # type: ignore[arg-type]
    nights, _ = it.field.store.read()
    assert len([path for path in it.folder.iterdir() if path.is_dir()]) == 2 < len(nights)


def test_a_journal_that_is_missing_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="begin with 'harness soak run SOAK --hours H'"):
        RunJournal(tmp_path / "run.jsonl").read()
    journal = RunJournal(tmp_path / "x" / "run.jsonl")
    journal.begin(hours=1)
    assert journal.read()[1:] == (LegEnd(0.0, 0), None)


def broken_off(tmp_path: Path, boot: str) -> RealTime:
    """As a power cut leaves it: the leg's begin is in the journal, its records are in its folder."""
    it = dataclasses.replace(real_time(tmp_path), boot=boot)
    run_real_time(it, lambda _: watcher(stop_after_s=60), ids(), lambda _: None)  # type: ignore[arg-type]
    lines = it.journal.path.read_text().splitlines()
    it.journal.path.write_text("\n".join(line for line in lines if "leg_end" not in line) + "\n")
    it.field.store.path.unlink()
    return it


def test_after_a_reboot_nobody_waits_for_what_cannot_be_alive_and_the_schedule_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.campaign.soak_run.being_written", lambda path: True)  # a lock that a file kept
    it = dataclasses.replace(broken_off(tmp_path, "one"), boot="two")
    monkeypatch.setattr("harness.store.folder.being_written", lambda path: False)
    said: list[str] = []
    again = iter(range(50, 99))
    begin_s = it.field.session.clock.now()
    assert run_real_time(it, lambda _: watcher(), lambda: f"leg-{next(again)}", said.append)
    assert "as the machine was started anew: the schedule goes on at 0.0" in said[0]
    nights, _ = it.field.store.read()
    assert nights[0].run_id == "leg-01" and sum(night.duration_s for night in nights) == pytest.approx(360, abs=15)
    assert it.field.session.clock.now() - begin_s < 3600
    assert boot_id(tmp_path / "no-such-kernel") == "" and len(boot_id()) == 36


def test_a_disk_that_is_full_when_a_leg_is_judged_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = broken_off(tmp_path, "one")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.session.render_folder", full)
    with pytest.raises(RunBroken, match=r"No space left on device\); it is recorded, and nothing is lost: make room"):
        run_real_time(it, lambda _: watcher(), ids(), lambda _: None)  # type: ignore[arg-type]
    assert it.journal.read()[2] is not None, "the leg is still open"
    monkeypatch.undo()
    again = iter(range(50, 99))
    assert run_real_time(it, lambda _: watcher(), lambda: f"leg-{next(again)}", lambda _: None)
    nights, _ = it.field.store.read()
    assert nights[0].run_id == "leg-01" and sum(night.duration_s for night in nights) == pytest.approx(360, abs=15)


def test_a_disk_that_is_full_when_a_night_is_judged_is_a_sentence_with_the_remedy(
    measured: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.session.render_folder", full)
    with pytest.raises(RunFolderError, match=r"could not be judged \(No space left on device\): nothing is lost"):
        record_run(SOAK, RunFolder(measured.session.out / "one"), measured)


def test_a_disk_that_fills_within_a_leg_stops_it_and_what_was_recorded_is_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = real_time(tmp_path)
    write, begin_s = AppendLog.write, it.field.session.clock.now()

    def filling(log: AppendLog, value: object) -> None:
        if log.path.name == "events.jsonl" and it.field.session.clock.now() > begin_s + 60:
            raise OSError(28, "No space left on device")
        write(log, value)

    monkeypatch.setattr(AppendLog, "write", filling)
    with pytest.raises(RunBroken, match="is the disk full"):
        run_real_time(it, lambda _: watcher(), ids(), lambda _: None)  # type: ignore[arg-type]
    monkeypatch.undo()
    again = iter(range(50, 99))
    assert run_real_time(it, lambda _: watcher(), lambda: f"leg-{next(again)}", lambda _: None)
    nights, _ = it.field.store.read()
    assert nights[0].run_id == "leg-01" and nights[0].duration_s > 10
    assert sum(night.duration_s for night in nights) == pytest.approx(360, abs=15)


def test_a_clock_that_was_set_back_does_not_move_nights(measured: Field, tmp_path: Path) -> None:
    (night,), _ = measured.store.read()
    store = TrialStore(tmp_path / "trials.jsonl")
    for run_id, year in (("a", 2026), ("b", 2001), ("c", 2002)):
        store.add(dataclasses.replace(night, run_id=run_id, wall_begin=f"{year}-01-01T00:00:00+00:00"))
    store.add(dataclasses.replace(night, run_id="b", wall_begin="2001-01-01T00:00:00+00:00", seed="again"))
    nights, odd = store.read()
    assert [one.run_id for one in nights] == ["a", "b", "c"] and nights[1].seed == "again"
    assert len(odd) == 1 and "b says that it began before a" in odd[0] and "the clock was set back" in odd[0]
    assert sample_of(SOAK, nights).nights == nights
