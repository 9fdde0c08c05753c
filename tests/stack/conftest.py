from __future__ import annotations

import gc
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.model.event import Event
from harness.model.scenario import TargetOptions
from harness.record.clock import SystemClock
from harness.stack.base import RunContext
from harness.stack.containers.labelled import Containers
from harness.stack.local.stack import LocalStack
from harness.stack.reference.settings import LocalSettings
from tests.stack.stub_engine import Of

STUB = str(Path(__file__).parent / "stub_target.py")
WEIGHTS = bytes(range(256)) * 64


def eventually(condition: Callable[[], object], within_s: float = 60.0) -> object:
    """The first true value of `condition`, asked every 20 ms."""
    clock = SystemClock()
    deadline = clock.now() + within_s
    while not (value := condition()):
        assert clock.now() < deadline, f"not within {within_s} s"
        clock.sleep(0.02)
    return value


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., object]:
    return eventually


@pytest.fixture
def stub_model(tmp_path: Path) -> Path:
    """A model folder as far as the stack can see."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    prompt = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 4, "answer": "hello"}
    golden = {"tasks": {"chat": [prompt]}, "params_sha256": hashlib.sha256(WEIGHTS).hexdigest()}
    (folder / "golden.json").write_text(json.dumps(golden))
    return folder


class Running:
    """A LocalStack over the stub target, with everything it ever reported."""

    def __init__(self, model: Path, folder: Path, settings: LocalSettings, target: TargetOptions) -> None:
        self.clock = SystemClock()
        self.stack = LocalStack(model, settings, self.clock)
        self.run = RunContext(f"test-{os.getpid()}-{id(self)}", folder, self.clock.now(), target=target)
        self.events: list[Event] = []

    def up(self) -> Running:
        self.run.folder.mkdir(exist_ok=True)
        self.stack.up(self.run)
        return self

    def up_and_ready(self) -> Running:
        self.up()
        eventually(lambda: self.stack.ready() is None)
        return self

    def seen(self, kind: str, replica: str | None = None) -> list[Event]:
        self.events += self.stack.poll()
        wanted = [event for event in self.events if event.kind == kind]
        return [event for event in wanted if replica in (None, event.fields.get("replica"), event.fields.get("source"))]


@pytest.fixture
def make_stack(stub_model: Path, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    made: list[Running] = []

    def make(target: TargetOptions | None = None, **settings: object) -> Running:
        defaults: dict[str, object] = {
            "replica_command": (sys.executable, STUB, "replica"),
            "gateway_command": (sys.executable, STUB, "gateway"),
            "required_modules": (),
        }
        told = LocalSettings(**{**defaults, **settings})  # type: ignore[arg-type]
        running = Running(stub_model, tmp_path / f"run{len(made)}", told, target or TargetOptions())
        made.append(running)
        return running

    yield make
    for running in made:
        running.stack.down()


@pytest.fixture
def of() -> Iterator[Of]:
    """The containers of a run, at whatever engine DOCKER_HOST names; let go of afterwards."""
    with ExitStack() as made:
        yield lambda run_id: made.enter_context(Containers(run_id))
    gc.collect()  # the Docker SDK leaves sockets of refused connections open: theirs, and not the next test's
