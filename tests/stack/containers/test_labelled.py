"""What the harness asks of a Docker engine, and what it says when there is none, with an engine that is a stub."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.model.errors import StackError
from harness.stack.containers.address import on_this_host
from harness.stack.containers.engine import EngineAway
from harness.stack.containers.labelled import PROJECT, SERVICE
from harness.stack.containers.project import RUN
from tests.stack.stub_engine import Of, StubEngine, serving

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sockets of the SDK
MINE = {RUN: "r1", SERVICE: "primary", PROJECT: "harness-r1"}
OTHER = {RUN: "r2", SERVICE: "primary", PROJECT: "harness-r2"}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubEngine]:
    stub = StubEngine({"mine": MINE, "other": OTHER, "nobody": {}})
    with tempfile.TemporaryDirectory() as folder, serving(stub, Path(folder) / "s") as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        yield stub


def test_only_containers_with_the_runs_label_are_seen(engine: StubEngine, of: Of) -> None:
    engine.states["mine"] = {"Status": "exited", "ExitCode": 137, "OOMKilled": True, "Pid": 0}
    states = of("r1").states()
    assert list(states) == ["primary"]
    seen = states["primary"]
    assert (seen.container_id, seen.status, seen.exit_code, seen.oom_killed, seen.pid) == (
        "mine",
        "exited",
        137,
        True,
        0,
    )


def test_a_container_that_waits_for_its_restart_is_not_running_whatever_its_status_says(
    engine: StubEngine, of: Of
) -> None:
    engine.states["mine"] = {"Status": "running", "Restarting": True}
    state = of("r1").state("primary")
    assert state is not None and state.status == "restarting"


def test_everything_of_a_run_is_removed_and_nothing_else(engine: StubEngine, of: Of) -> None:
    engine.networks |= {"n1": MINE, "n2": OTHER}
    engine.volumes |= {"v1": MINE, "v2": {}}
    containers = of("r1")
    assert containers.anything() == ["container mine", "network n1", "volume v1"]
    assert containers.remove() == []
    assert containers.anything() == []
    assert (set(engine.containers), set(engine.networks), set(engine.volumes)) == ({"other", "nobody"}, {"n2"}, {"v2"})


def test_what_cannot_be_removed_is_named_and_keeps_nothing_else(engine: StubEngine, of: Of) -> None:
    engine.networks["n1"] = MINE
    engine.stuck.add("mine")
    assert of("r1").remove() == ["container mine: mine is in use"]
    assert engine.networks == {}


def test_an_order_for_a_service_that_the_run_does_not_have_reaches_no_container(engine: StubEngine, of: Of) -> None:
    with pytest.raises(StackError, match="primary has no container in run r3"):
        of("r3").restart("primary", 5)
    with pytest.raises(StackError, match="gateway has no container in run r1"):
        of("r1").start("gateway")
    assert engine.asked == []


def test_an_order_reaches_the_runs_own_container(engine: StubEngine, of: Of) -> None:
    of("r1").restart("primary", 5)
    assert engine.asked == ["POST /containers/mine/restart"]


def test_the_last_words_are_the_last_line_that_is_not_empty(engine: StubEngine, of: Of) -> None:
    engine.logs["mine"] = "one\ntwo\n\n"
    assert of("r1").last_words("primary") == "two"
    assert of("r1").last_words("gateway") == "it has no container"


def test_logs_and_facts_are_kept(engine: StubEngine, of: Of, tmp_path: Path) -> None:
    engine.logs["mine"] = "one\n"
    of("r1").save(tmp_path)
    assert (tmp_path / "primary.log").read_text() == "one\n"
    assert json.loads((tmp_path / "inspect.json").read_text())["primary"]["Id"] == "mine"


def test_a_project_of_that_name_that_is_somebody_elses_is_seen(engine: StubEngine, of: Of) -> None:
    engine.containers["theirs"] = {PROJECT: "harness-r1"}
    assert of("r1").strangers("harness-r1") == ["theirs"]
    assert of("r1").strangers("harness-r9") == []


def test_images_that_are_missing_are_named(engine: StubEngine, of: Of) -> None:
    engine.images.add("here:1")
    assert of("").missing_images(["here:1", "gone:1"]) == ["gone:1"]


def test_events_are_handed_over_as_they_come(engine: StubEngine, of: Of) -> None:
    engine.events += [{"Action": "start"}, {"Action": "die"}]
    assert [row["Action"] for row in of("r1").events(0.0)] == ["start", "die"]


def test_an_engine_that_has_gone_is_an_error_in_words_at_every_question(
    of: Of, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with serving(StubEngine({"mine": MINE}), Path(folder) / "s") as address:
            monkeypatch.setenv("DOCKER_HOST", address)
            containers = of("r1")
            assert containers.state("primary")
        for ask in (
            containers.states,
            containers.remove,
            containers.anything,
            lambda: containers.last_words("primary"),
            lambda: containers.strangers("harness-r1"),
            lambda: containers.missing_images(["one"]),
            lambda: containers.save(Path(folder)),
        ):
            with pytest.raises(EngineAway, match="does not answer"):
                ask()  # type: ignore[no-untyped-call]


def test_no_engine_is_one_sentence_with_the_remedy(of: Of, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(EngineAway) as error:
        of("").check()
    said = str(error.value)
    assert said.startswith("no Docker engine answers at unix:///nowhere/docker.sock") and "\n" not in said
    assert "start it, or install Docker Engine" in said and "`--stack local`" in said


def test_no_permission_on_the_engines_socket_names_its_group(of: Of, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as folder, serving(StubEngine(), Path(folder) / "s") as address:
        Path(folder).chmod(0o755)
        (Path(folder) / "s").chmod(0o000)
        monkeypatch.setenv("DOCKER_HOST", address)
        root = os.geteuid() == 0
        if root:  # who may do everything
            os.seteuid(65534)
        try:
            with pytest.raises(EngineAway) as error:
                of("").check()
        finally:
            if root:
                os.seteuid(0)
    assert str(error.value).startswith(f"no permission to use the Docker engine at {address}; join its group")


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("unix:///var/run/docker.sock", True),
        ("tcp://127.0.0.1:2375", False),
        ("tcp://localhost:2375", False),
        ("tcp://[::1]:2375", False),
        ("tcp://10.0.0.7:2376", False),
        ("ssh://root@build", False),
    ],
)
def test_only_a_socket_file_is_surely_an_engine_of_this_host(address: str, here: bool) -> None:
    assert on_this_host(address) is here
