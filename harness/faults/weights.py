"""Faults of the model files. A changed file alone is latent: the proof is what a serving process holds of it."""

from __future__ import annotations

import os
import random
import re
import shutil
import stat
from pathlib import Path

from harness.faults.base import ActiveFault, CannotInject, Proof
from harness.faults.inverse import sha256_of
from harness.model.weights_faults import WeightsBitFlip, WeightsTruncate
from harness.record.journal import Inverse
from harness.stack.base import TargetProcess, Weights

__all__ = ["SNAPSHOTS", "FlipBits", "ForbidReading", "RemoveWeights", "TruncateWeights", "WeightsDamage"]

SNAPSHOTS = "undo"  # folder of pristine copies in the run's folder, gone when everything is healed
FAILED_EXIT = re.compile(r"exit status [1-9]\d*")


class WeightsDamage(ActiveFault):
    """Damage to a file of the replica's own copy of the model; by default its largest weights file."""

    path: Path
    before: TargetProcess

    def prepare(self) -> Inverse:
        self.find()
        digest = sha256_of(self.path)
        snapshot = self.where.run_folder / SNAPSHOTS / f"{self.fault.on}-{digest[:12]}-{self.path.name}"
        _snapshot(self.path, snapshot)
        root = str(self.where.own_folder)
        return Inverse(
            "file.restore", {"path": str(self.path), "snapshot": str(snapshot), "sha256": digest, "root": root}
        )

    def find(self) -> None:
        """The file, and the process that serves from it. Raises CannotInject."""
        self.path = self.file_to_damage(self.stack.model_folder(self.fault.on))
        if not self.path.resolve().is_relative_to(self.where.own_folder.resolve()):
            raise CannotInject(f"{self.path} is not this run's own copy of the model")
        before = self.stack.process(self.fault.on)
        if before is None:
            raise CannotInject(f"{self.fault.on} has no running process")
        self.before = before

    @property
    def sharers(self) -> list[str]:
        """All who serve from that folder, the one first that the fault names."""
        folder = self.stack.model_folder(self.fault.on)
        others = [name for name in self.stack.describe() if self.stack.model_folder(name) == folder]
        return sorted(others, key=lambda name: name != self.fault.on)

    def file_to_damage(self, folder: Path) -> Path:
        """Which file of the replica's model folder. Raises CannotInject."""
        files = sorted(folder.glob("*.safetensors"), key=lambda path: path.stat().st_size)
        if not files:
            raise CannotInject(f"{folder} holds no *.safetensors file")
        return files[-1]

    def proof(self) -> Proof | None:
        first_end = self.first_end()
        held = self.stack.held_weights(self.fault.on)
        if held.altered:
            others = [name for name in self.sharers[1:] if self.stack.held_weights(name).altered]
            too = f"; so does {' and '.join(others)}, from the same copy" if others else ""
            said = f"the serving process holds altered weights ({held.source}){too}"
            return Proof(True, said, holds_altered=True)
        return self.refusal(held, first_end)

    def first_end(self) -> str | None:
        """How the process from before the damage ended, by our restart: says nothing about the file.

        Asked before a look at what is held: a last end that the look finds is then this one or a later one.
        """
        return self.stack.exit_report(self.before)

    def refusal(self, held: Weights, first_end: str | None) -> Proof | None:
        """The proof that the target itself turned the damage away, if it did."""
        if held.refused is not None:
            return Proof(True, f"the damaged file was refused: {held.refused}")
        if held.altered is not None or first_end is None or held.last_exit in {None, first_end}:
            return None
        # Who is started again and again is most of the time a process that has not ended yet, and holds nothing either.
        if not FAILED_EXIT.fullmatch(str(held.last_exit)):
            return None
        return Proof(True, f"the damaged file was refused: the last process ended with {held.last_exit}")

    def after_inverse(self) -> None:
        if getattr(self.fault, "restart_after_s", None) is not None:
            self.stack.restart(self.fault.on)
        else:
            self.stack.ensure_running(self.fault.on)
        for other in self.sharers[1:]:
            self.stack.ensure_running(other)

    def healed(self) -> bool:
        return all(self.stack.held_weights(name).altered is False for name in self.sharers)


def _snapshot(path: Path, snapshot: Path) -> None:
    """A copy that is whole or not there; its name holds the content's digest, so an earlier one is as good."""
    if snapshot.exists():
        return
    snapshot.parent.mkdir(exist_ok=True)
    part = snapshot.with_name(f".{snapshot.name}.part")
    shutil.copyfile(path, part)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, snapshot)


class FlipBits(WeightsDamage):
    """Flip bits of the payload in place, at places drawn from the seed."""

    def apply(self) -> None:
        assert isinstance(self.fault, WeightsBitFlip)
        rng = random.Random(self.where.seed)
        with self.path.open("r+b") as file:
            payload = 8 + int.from_bytes(file.read(8), "little")  # safetensors: header length, header, tensors
            size = self.path.stat().st_size
            if payload >= size:
                raise CannotInject(f"{self.path.name} has no payload to damage")
            for _ in range(self.fault.bits):
                at = rng.randrange(payload, size)
                file.seek(at)
                byte = file.read(1)[0]
                file.seek(at)
                file.write(bytes([byte ^ (1 << rng.randrange(8))]))


class TruncateWeights(WeightsDamage):
    """Cut the file's end off."""

    def apply(self) -> None:
        assert isinstance(self.fault, WeightsTruncate)
        size = self.path.stat().st_size
        os.truncate(self.path, min(size - 1, int(size * self.fault.keep_ratio)))


class RemoveWeights(WeightsDamage):
    """Delete the file from the replica's copy; the snapshot brings it back."""

    def apply(self) -> None:
        self.path.unlink()


class ForbidReading(WeightsDamage):
    """Nobody may read the file any more; who has it open or mapped reads on."""

    def prepare(self) -> Inverse:
        self.find()
        mode = stat.S_IMODE(self.path.stat().st_mode)
        return Inverse("file.mode", {"path": str(self.path), "mode": mode, "root": str(self.where.own_folder)})

    def apply(self) -> None:
        self.path.chmod(0)

    def lost(self) -> str | None:
        return f"{self.path} was made readable by somebody else" if stat.S_IMODE(self.path.stat().st_mode) else None
