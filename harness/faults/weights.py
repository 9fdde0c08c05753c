"""Faults of the model files. A changed file alone is latent: the proof is what a serving process holds of it."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

from harness.faults.base import ActiveFault, CannotInject, Proof
from harness.faults.inverse import sha256_of
from harness.model.faults import WeightsBitFlip, WeightsTruncate
from harness.record.journal import Inverse
from harness.stack.base import TargetProcess

__all__ = ["FlipBits", "RemoveWeights", "TruncateWeights"]


class _WeightsFault(ActiveFault):
    """Damage to the largest weights file of the replica's own copy of the model."""

    path: Path
    before: TargetProcess | None

    def prepare(self) -> Inverse:
        folder = self.stack.model_folder(self.fault.on)
        files = sorted(folder.glob("*.safetensors"), key=lambda path: path.stat().st_size)
        if not files:
            raise CannotInject(f"{folder} holds no *.safetensors file")
        self.path = files[-1]
        if not self.path.resolve().is_relative_to(self.where.run_folder.resolve()):
            raise CannotInject(f"{self.path} is not this run's own copy of the model")
        self.before = self.stack.process(self.fault.on)
        snapshots = self.where.run_folder / "undo"
        snapshots.mkdir(exist_ok=True)
        digest = sha256_of(self.path)
        snapshot = snapshots / f"{self.fault.on}-{digest[:12]}-{self.path.name}"
        shutil.copyfile(self.path, snapshot)
        with snapshot.open("rb") as file:
            os.fsync(file.fileno())
        root = str(self.where.run_folder)
        return Inverse(
            "file.restore", {"path": str(self.path), "snapshot": str(snapshot), "sha256": digest, "root": root}
        )

    def proof(self) -> Proof | None:
        held = self.stack.held_weights(self.fault.on)
        if held.altered:
            return Proof(True, f"the serving process holds altered weights ({held.source})")
        report = self.stack.exit_report(self.before) if self.before is not None else None
        if held.altered is None and (report is not None or self.before is None) and "exit" in held.source:
            return Proof(True, f"the damaged file was refused: {held.source}")
        return None

    def after_inverse(self) -> None:
        if getattr(self.fault, "restart_after_s", None) is not None:
            self.stack.restart(self.fault.on)
        else:
            self.stack.ensure_running(self.fault.on)

    def healed(self) -> bool:
        return self.stack.held_weights(self.fault.on).altered is False


class FlipBits(_WeightsFault):
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


class TruncateWeights(_WeightsFault):
    """Cut the file's end off."""

    def apply(self) -> None:
        assert isinstance(self.fault, WeightsTruncate)
        size = self.path.stat().st_size
        os.truncate(self.path, min(size - 1, int(size * self.fault.keep_ratio)))


class RemoveWeights(_WeightsFault):
    """Delete the file from the replica's copy; the snapshot brings it back."""

    def apply(self) -> None:
        self.path.unlink()
