"""What can be wrong with a container run that only a real engine shows: one sentence, and nothing left behind."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.model.errors import StackError
from harness.stack.base import RunContext
from harness.stack.compose import stack as compose
from harness.stack.compose.stack import ComposeStack
from harness.stack.containers.project import project_name
from harness.stack.ports import HeldPorts
from tests.container_kills import things_of
from tests.e2e.conftest import Start
from tests.e2e.test_compose import MISSING

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.model,
    pytest.mark.skipif(MISSING is not None, reason=str(MISSING)),
]


@pytest.fixture
def run(tmp_path: Path) -> RunContext:
    (tmp_path / "run").mkdir()
    return RunContext(f"bad-input-{os.getpid()}", tmp_path / "run", time.monotonic())


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield int(other.getsockname()[1])


def test_a_port_that_somebody_took_in_between_is_replaced_by_another(
    run: RunContext, model_folder: Path, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[tuple[int, ...]] = []

    class Unlucky(HeldPorts):
        def __init__(self, count: int) -> None:
            super().__init__(count)
            if not chosen:
                self.ports = (taken, *self.ports[1:])
            chosen.append(self.ports)

    monkeypatch.setattr(compose, "HeldPorts", Unlucky)
    stack = ComposeStack(model_folder)
    try:
        stack.up(run)
        assert len(chosen) == 2 and taken not in chosen[1]
        assert len([one for one in things_of(run.run_id) if one[0] == "container"]) == 4
    finally:
        stack.down()
    assert things_of(run.run_id) == []


def test_a_port_that_is_taken_every_time_is_named_and_nothing_is_left(
    run: RunContext, model_folder: Path, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unlucky(HeldPorts):
        def __init__(self, count: int) -> None:
            super().__init__(count)
            self.ports = (taken, *self.ports[1:])

    monkeypatch.setattr(compose, "HeldPorts", Unlucky)
    with pytest.raises(StackError, match=f"^port {taken} on 127.0.0.1 is taken by another process"):
        ComposeStack(model_folder).up(run)
    assert things_of(run.run_id) == []


def test_a_project_of_that_name_that_is_somebody_elses_is_refused_and_left_alone(
    run: RunContext, model_folder: Path
) -> None:
    label = f"com.docker.compose.project={project_name(run.run_id)}"
    command = ["docker", "create", "--label", label, "reliability-harness/target:local", "true"]
    theirs = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    try:
        with pytest.raises(StackError, match="belongs to somebody else"):
            ComposeStack(model_folder).up(run)
        assert subprocess.run(["docker", "inspect", theirs], capture_output=True, check=False).returncode == 0
        assert things_of(run.run_id) == []
    finally:
        subprocess.run(["docker", "rm", "--force", theirs], capture_output=True, check=True)


def test_a_container_that_keeps_ending_at_its_start_ends_the_run_with_its_last_words(start: Start) -> None:
    one = start(
        "name: mistyped\ntarget: {replica: {health_mode: sideways}}\n"
        "load: {rate_per_s: 5, mix: {sentiment: 1}}\nphases: {baseline_s: 1, recovery_s: 1}\n",
        stack="compose",
    )
    assert one.process.wait(timeout=100) == 2, one.said()
    assert re.search(r"has ended 3 times( \(exit 2\))?: .*health-mode", one.said()), one.said()  # or it runs again
    assert things_of(one.folder.name) == []
    assert not one.owned()
