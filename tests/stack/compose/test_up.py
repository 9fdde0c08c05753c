"""What must be there before a project is brought up, and ports that somebody took in between."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.model.errors import StackError
from harness.stack.compose.up import PORT_TRIES, Project, bring_up, check_engine, with_other_ports
from harness.stack.containers.labelled import PROJECT
from harness.stack.containers.plugin import PortTaken
from tests.stack.stub_engine import Of, StubEngine, serving

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sockets of the SDK


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StubEngine]:
    program = tmp_path / "docker"
    program.write_text(
        '#!/bin/sh\necho "$@" >> "$0.log"\ncase "$*" in\n*version*) echo 2.26.1;;\n*config*) echo target:1;;\nesac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "compose.yaml").write_text("services: {}")
    stub = StubEngine()
    with tempfile.TemporaryDirectory() as folder, serving(stub, Path(folder) / "s") as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        yield stub


def test_an_image_that_is_missing_is_named_with_the_command_that_builds_it(engine: StubEngine, tmp_path: Path) -> None:
    with pytest.raises(StackError) as error:
        check_engine(tmp_path / "compose.yaml", {})
    assert str(error.value).startswith("image target:1 is not there; build it with `harness images`")
    engine.images.add("target:1")
    check_engine(tmp_path / "compose.yaml", {})


def test_a_file_that_is_missing_is_named(engine: StubEngine, tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"other.yaml: missing; run from a checkout"):
        check_engine(tmp_path / "other.yaml", {})


def test_a_project_that_belongs_to_somebody_else_is_left_alone(engine: StubEngine, of: Of, tmp_path: Path) -> None:
    engine.containers["theirs"] = {PROJECT: "harness-r1"}
    project = Project("harness-r1", "r1", [tmp_path / "compose.yaml"])
    with pytest.raises(StackError, match=r"harness-r1 belongs to somebody else \(container theirs\)"):
        bring_up(project, of("r1"), 5.0)
    assert not (tmp_path / "docker.log").exists()
    assert engine.asked == []


def test_the_services_that_are_named_are_brought_up_if_their_images_are_there(
    engine: StubEngine, of: Of, tmp_path: Path
) -> None:
    project = Project("harness-r1", "r1", [tmp_path / "compose.yaml"], {}, ["primary"])
    with pytest.raises(StackError, match="image target:1 is not there; build it"):
        bring_up(project, of("r1"), 5.0)
    engine.images.add("target:1")
    bring_up(project, of("r1"), 5.0)
    line = (tmp_path / "docker.log").read_text().splitlines()[-1]
    assert line.startswith("compose --project-name harness-r1 -f ") and line.endswith(
        "up --detach --quiet-pull primary"
    )


@pytest.mark.parametrize("taken", range(PORT_TRIES))
def test_when_a_port_was_taken_the_project_is_cleared_and_brought_up_on_others(taken: int) -> None:
    said: list[str] = []

    def attempt() -> None:
        said.append("up")
        if said.count("up") <= taken:
            raise PortTaken("port 1")

    with_other_ports(attempt, lambda: said.append("clear"))
    assert said == [*["up", "clear"] * taken, "up"]


def test_a_port_that_is_taken_every_time_is_an_error() -> None:
    def attempt() -> None:
        raise PortTaken("port 1 is taken")

    with pytest.raises(PortTaken, match="port 1 is taken"):
        with_other_ports(attempt, lambda: None)
