"""What trials were measured on: build, configuration and model, so that only what is alike is put together."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import harness
from harness.model.soak import SoakFile
from harness.plan.environment import in_effect
from harness.soak.records import Circumstances
from harness.stack.base import Stack
from harness.stack.switches import Switched

__all__ = ["circumstances"]


def circumstances(soak: SoakFile, stack: Stack, model: Path, commit: str | None, *, real_time: bool) -> Circumstances:
    """Of a run that is about to begin. `commit`: of the working tree, as in a run's header."""
    build = harness.__version__ + (f" {commit}" if commit else "")
    return Circumstances(build, _configuration(soak, stack), _model(stack, model), real_time)


def _configuration(soak: SoakFile, stack: Stack) -> str:
    """Digest of all that shapes a trial; rates, objectives and the budget do not."""
    shaping = {
        "target": dataclasses.asdict(soak.target),
        "load": dataclasses.asdict(soak.load),
        "rate_per_s": soak.measured_rate_per_s,
        "inject": {one.name: [dataclasses.asdict(fault) for fault in one.inject] for one in soak.faults},
        "watched_s": [soak.measure.trial_s, soak.measure.gap_s_min, soak.measure.gap_s_max],
        "steady_state": dataclasses.asdict(soak.steady_state),
        "replicas": sorted(stack.describe()),
    }
    switched = in_effect(stack.switches(), soak.target) if isinstance(stack, Switched) else {}
    shaping |= {"environment": switched} if switched else {}  # so that what was measured without any stays alike
    return hashlib.sha256(json.dumps(shaping, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _model(stack: Stack, model: Path) -> str:
    """In words, with its size: it does not carry over to another."""
    if stack.name == "fake":
        return "none (a script)"
    files = [path for path in model.rglob("*") if path.is_file()] if model.is_dir() else []
    return f"{model.name} with {_megabytes(files)} of files"


def _megabytes(files: Sequence[Path]) -> str:
    return f"{sum(path.stat().st_size for path in files) / 1e6:,.1f} MB"
