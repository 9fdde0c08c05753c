"""What `harness run --stack compose` says where it cannot run: one sentence with the remedy, exit 2, nothing left."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cli.main import call
from tests.stack.stub_engine import StubEngine, bare_model, serving

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sockets of the Docker SDK
VERSION, IMAGES = "*version*) echo 2.26.1;;", "*config*) echo target:1;;"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StubEngine]:
    stub = StubEngine(images={"target:1"})
    docker_says(tmp_path, VERSION, IMAGES)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with tempfile.TemporaryDirectory() as folder, serving(stub, Path(folder) / "s") as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        yield stub
    gc.collect()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return bare_model(tmp_path / "model")


def docker_says(folder: Path, *cases: str) -> None:
    program = folder / "docker"
    program.write_text('#!/bin/sh\ncase "$*" in\n' + "\n".join(cases) + "\nesac\n")
    program.chmod(0o755)


def said(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    scenario = tmp_path / "s.yaml"
    scenario.write_text("name: s\nload: {rate_per_s: 5}\nphases: {baseline_s: 1, recovery_s: 1}\n")
    out = tmp_path / "out"
    code = call(["run", str(scenario), "--stack", "compose", "--model", str(model), "--out", str(out)])
    error = capsys.readouterr().err
    assert not out.exists(), "nothing was begun, so there is nothing to look at"
    assert len(error.strip().splitlines()) == 1, error
    return code, error


def test_no_engine(
    engine: StubEngine, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    code, error = said(tmp_path, model, capsys)
    assert code == 2 and "no Docker engine answers at unix:///nowhere/docker.sock" in error and "install" in error


def test_no_engine_for_the_health_score_either(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert call(["health", "--stack", "compose", "--model", str(model), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "no Docker engine answers at unix:///nowhere/docker.sock" in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_engine_at_an_address_where_nobody_listens(
    engine: StubEngine, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    code, error = said(tmp_path, model, capsys)
    assert code == 2 and "no Docker engine answers at tcp://127.0.0.1:1" in error


def test_a_plugin_that_is_too_old(
    engine: StubEngine, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    docker_says(tmp_path, "*version*) echo 2.10.0;;", IMAGES)
    code, error = said(tmp_path, model, capsys)
    assert code == 2 and "the Compose plugin is 2.10.0, and 2.15 or later is needed; install" in error


def test_an_image_that_is_missing(
    engine: StubEngine, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.images.clear()
    code, error = said(tmp_path, model, capsys)
    assert code == 2 and "image target:1 is not there; build it with `harness images`" in error


def test_a_model_that_is_missing(engine: StubEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, error = said(tmp_path, tmp_path / "nowhere", capsys)
    assert code == 2 and "there is no model folder; build one with" in error
