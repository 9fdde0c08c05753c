"""Keeps the faults of a run: in, proven, out. The one place where journal, event log and fault meet."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.faults.base import ActiveFault, CannotInject, Where
from harness.faults.inverse import carry_out
from harness.faults.table import activate
from harness.faults.weights import SNAPSHOTS
from harness.model.errors import HarnessError, RunBroken
from harness.model.plan import Plan, Step
from harness.record.journal import Inverse, Journal, pending
from harness.record.recorder import Recorder
from harness.stack.base import Stack

__all__ = ["FaultKeeper"]

PROOF_EVERY_S = 0.25  # reading the weights of a serving process is not free


@dataclass
class _Live:
    """A fault that has been injected and not yet seen to be healed."""

    fault: ActiveFault
    entry: int  # in the journal
    inverse: Inverse
    episode: int
    index: int
    proven: bool = False  # its proof, good or bad, is on record
    looked_s: float = -1.0
    taken_back: bool = False
    gone: bool = False


class FaultKeeper:
    """Injects, proves and heals; after `heal_all` nothing of what it did is left."""

    def __init__(
        self,
        plan: Plan,
        stack: Stack,
        recorder: Recorder,
        where: tuple[str, Path, Journal],
        *,
        home: Path | None = None,
    ) -> None:
        """`home`: of a stack that outlives the run, whose files may be touched."""
        self._plan = plan
        self._stack = stack
        self._recorder = recorder
        self._run_id, self._folder, self._journal = where
        self._home = home
        self._live: list[_Live] = []

    def act(self, step: Step) -> None:
        """Carry out one step of the plan. A target in no state for the fault makes the episode inconclusive."""
        if step.action == "inject":
            self._inject(step)
            return
        live = next((one for one in self._live if (one.episode, one.index) == (step.episode, step.fault)), None)
        if live is None:
            return  # skipped
        if step.action == "restart":
            live.fault.restart()
            self._recorder.event("restart", episode=live.episode, fault=live.index, on=live.fault.fault.on)
        else:
            self._heal(live)

    def poll(self) -> None:
        """Look for proofs, and for faults that are gone."""
        now_s = self._recorder.now_s()
        for live in list(self._live):
            if now_s - live.looked_s < PROOF_EVERY_S:
                continue
            live.looked_s = now_s
            if not live.taken_back:
                live.fault.keep()
            if not live.proven:
                self._look_for_proof(live)
            if live.taken_back and not live.gone and live.fault.healed():
                live.gone = True
                self._recorder.event("fault_healed", episode=live.episode, fault=live.index)
            if live.gone and live.proven:
                self._live.remove(live)

    def unhealed(self) -> list[str]:
        """Faults that were taken back and are not yet seen to be gone."""
        return [
            f"{live.fault.fault.kind} on {live.fault.fault.on}"
            for live in self._live
            if live.taken_back and not live.gone
        ]

    def heal_all(self) -> list[str]:
        """Take everything back, newest first; one failure does not stop the next. Returns the errors."""
        errors = []
        for live in reversed(self._live):
            if not live.taken_back:
                try:
                    self._take_back(live)
                except Exception as error:  # noqa: BLE001  the next fault must be healed whatever happened to this one
                    errors.append(f"{live.fault.fault.kind} on {live.fault.fault.on}: {error}")
        if not errors and not pending(self._journal.path):
            shutil.rmtree(self._folder / SNAPSHOTS, ignore_errors=True)
        return errors

    def _heal(self, live: _Live) -> None:
        try:
            self._take_back(live)
        except (OSError, HarnessError) as error:
            what = f"{live.fault.fault.kind} on {live.fault.fault.on}"
            raise RunBroken(f"{what} could not be healed: {error}; 'harness undo' tries again") from error

    def _inject(self, step: Step) -> None:
        spec = self._plan.scenario.faults[step.fault]
        seed = f"{self._plan.seed}/{step.episode}/{step.fault}"
        where = Where(self._stack, self._run_id, self._folder, seed, self._home)
        fault = activate(spec, where)
        try:
            if any(
                not one.gone and one.fault.fault.on == spec.on and one.episode != step.episode for one in self._live
            ):
                raise CannotInject("an earlier episode's fault is still there")
            inverse = fault.prepare()
        except (CannotInject, OSError) as reason:
            self._skip(step, reason)
            return
        live = _Live(fault, self._journal.intend(inverse), inverse, step.episode, step.fault)
        self._live.append(live)
        begin = self._recorder.event(
            "fault_begin", episode=step.episode, fault=step.fault, fault_kind=spec.kind, on=spec.on
        )
        try:
            fault.apply()
        except (CannotInject, OSError) as reason:
            self._skip(step, reason)
            self._heal(live)  # it may have been applied in part
            self._live.remove(live)
            return
        live.looked_s = begin.at_s
        self._look_for_proof(live)

    def _skip(self, step: Step, reason: Exception) -> None:
        self._recorder.event("fault_skipped", episode=step.episode, fault=step.fault, reason=str(reason))

    def _look_for_proof(self, live: _Live) -> None:
        proof = live.fault.proof()
        if proof is not None:
            live.proven = True
            more = {"holds_altered": True} if proof.holds_altered else {}
            self._recorder.event(
                "fault_proof",
                episode=live.episode,
                fault=live.index,
                proven=proof.proven,
                evidence=proof.evidence,
                **more,
            )

    def _last_look(self, live: _Live) -> None:
        """After the inverse it may be too late for a proof. Healing does not wait for it, nor for the recorder."""
        if not live.proven:
            with suppress(OSError, HarnessError):
                self._look_for_proof(live)

    def _look_whether_lost(self, live: _Live) -> None:
        """A fault that ended by itself, as when its proxy was restarted, was not the fault that was planned."""
        try:
            reason = live.fault.lost()
        except (OSError, HarnessError) as error:
            reason = f"whether it was there to the end could not be seen: {error}"
        if reason:
            with suppress(RunBroken):
                self._recorder.event("fault_lost", episode=live.episode, fault=live.index, reason=reason)

    def _take_back(self, live: _Live) -> None:
        self._last_look(live)
        self._look_whether_lost(live)
        try:
            carry_out(live.inverse)
        except (OSError, HarnessError) as error:
            self._journal.failed(live.entry, str(error))
            raise
        live.fault.after_inverse()
        self._journal.undone(live.entry)
        live.taken_back = True
        self._recorder.event("fault_end", episode=live.episode, fault=live.index)
