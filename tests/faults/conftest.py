"""A scripted target that is up, and its clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.faults.base import Where
from harness.model.target import TargetOptions
from harness.record.clock import FakeClock
from harness.stack.base import RunContext
from harness.stack.fake.stack import FakeStack


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(0.0)


@pytest.fixture
def where(tmp_path: Path, clock: FakeClock) -> Where:
    """Its replicas keep answers for a second."""
    stack = FakeStack(clock)
    stack.up(RunContext("run", tmp_path, 0.0, target=TargetOptions(replica={"cache_size": 64, "cache_ttl_s": 1})))
    return Where(stack, "run", tmp_path, "seed/1/0")
