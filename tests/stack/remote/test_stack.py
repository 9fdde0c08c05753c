"""The container stack on an engine of another host, as far as it can be seen without one."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from harness.cli.scenarios import make_stack
from harness.model.errors import CapabilityError, StackError
from harness.plan.make_plan import make_plan
from harness.plan.parse import parse_scenario
from harness.record.clock import SystemClock
from harness.session import facts
from harness.stack.compose.stack import ComposeSettings, ComposeStack
from harness.stack.remote.stack import RemoteStack, continue_remotely
from tests.stack.stub_engine import StubEngine, bare_model, serving

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sockets of the SDK
FAR = "tcp://10.0.0.7:2375"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return bare_model(tmp_path / "model")


def planned(stack: RemoteStack, faults: str) -> None:
    text = f"name: far\nload: {{rate_per_s: 5}}\nphases: {{baseline_s: 4, recovery_s: 4}}\nfaults: [{faults}]\n"
    make_plan(parse_scenario(text, "far.yaml"), facts(stack), "1")


def test_faults_that_reach_into_the_engines_host_are_refused_and_the_reason_is_said(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", FAR)
    stack = RemoteStack(model)
    for kind in ("resources.cpu", "weights.nan", "clock.jump", "service.hang", "start.port_taken"):
        with pytest.raises(CapabilityError) as error:
            planned(stack, f"{{kind: {kind}}}")
        assert kind in str(error.value) and f"the Docker engine at {FAR} is another host's" in str(error.value)
    for kind in ("process.kill", "process.pause", "network.latency", "network.partition", "node.down"):
        planned(stack, f"{{kind: {kind}}}")


def test_the_plan_says_on_which_engine_the_replicas_are(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", FAR)
    assert f"container of the engine at {FAR}" in RemoteStack(model).describe()["primary"]


def test_the_address_decides_and_nothing_else(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[type] = []
    monkeypatch.setattr(ComposeStack, "check", lambda self: checked.append(type(self)))
    for address in (FAR, "tcp://127.0.0.1:2375", "ssh://build", "unix:///var/run/docker.sock"):
        monkeypatch.setenv("DOCKER_HOST", address)
        make_stack("compose", model, SystemClock())
    assert checked == [RemoteStack, RemoteStack, RemoteStack, ComposeStack]


def test_a_prometheus_beside_the_containers_is_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", FAR)
    with pytest.raises(StackError, match="cannot read this host's files for a Prometheus"):
        RemoteStack(model, ComposeSettings(prometheus=True)).check()


def test_a_pause_needs_nothing_taken_back_when_the_runs_containers_have_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as folder, serving(StubEngine(), Path(folder) / "s") as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        continue_remotely({"run_id": "r1", "pid": 1, "started": 2})


def test_a_pause_that_cannot_be_taken_back_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {"reliability-harness.run": "r1", "com.docker.compose.service": "primary"}
    with tempfile.TemporaryDirectory() as folder, serving(StubEngine({"one": labels}), Path(folder) / "s") as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        with pytest.raises(StackError, match="signals of run r1 does not run, so its process 1 was not continued"):
            continue_remotely({"run_id": "r1", "pid": 1, "started": 2})
