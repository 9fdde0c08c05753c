"""What a dead run left behind is healed and cleared, by whoever finds it."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest

from harness.record.clock import FakeClock
from harness.record.journal import Inverse, Journal
from harness.recover import recover, sweep
from harness.stack.containers.address import known_again
from harness.stack.containers.project import OVERRIDE, RUN
from harness.stack.owned import identify
from harness.store.registry import LiveRun, Registry
from tests.stack.stub_engine import StubEngine, serving


def dead_run(tmp_path: Path, run_id: str = "dead-run") -> tuple[LiveRun, Registry]:
    run = LiveRun(run_id, str(tmp_path / "run"), 2**22 + 1, 1)
    (tmp_path / "run").mkdir()
    registry = Registry(tmp_path / "live")
    registry.add(run)
    return run, registry


def test_faults_are_healed_and_the_copies_of_the_model_the_secrets_and_the_sockets_are_gone(tmp_path: Path) -> None:
    run, registry = dead_run(tmp_path, f"dead-{os.getpid()}")
    folder = Path(run.folder)
    copies = [folder / "stack" / "model-primary", folder / "stack" / "primary" / "model", folder / "undo"]
    copies += [folder / "stack" / "private", folder / "stack" / "private-gateway"]  # secrets
    for copy in copies:
        copy.mkdir(parents=True)
        (copy / "model.safetensors").write_bytes(b"x")
    dead, live = (Path(tempfile.mkdtemp(prefix=f"harness-{run.run_id[:24]}-")) for _ in range(2))
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(dead / "s"))
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(live / "s"))
        other.listen()
        assert sweep(registry)[0].errors == ()
        assert live.exists()  # another run's, whose id begins with the same letters
    assert not dead.exists()
    assert not any(copy.exists() for copy in copies)
    assert registry.runs() == []
    (live / "s").unlink()
    live.rmdir()


def test_a_run_that_could_not_be_healed_stays_registered_with_its_snapshots(tmp_path: Path) -> None:
    run, registry = dead_run(tmp_path)
    journal = Journal(Path(run.folder) / "undo.jsonl")
    journal.intend(Inverse("no.such", {}))
    journal.close()
    (Path(run.folder) / "undo").mkdir()
    for _ in range(2):
        assert len(recover(run, registry).errors) == 1
    assert registry.runs() == [run]
    assert (Path(run.folder) / "undo").exists()


def test_the_sweep_leaves_live_runs_alone(tmp_path: Path) -> None:
    me = identify(os.getpid())
    assert me is not None
    registry = Registry(tmp_path / "live")
    registry.add(LiveRun("alive", str(tmp_path), me.pid, me.started))
    assert sweep(registry) == []
    assert len(registry.runs()) == 1


def test_a_run_whose_folder_was_deleted_is_forgotten(tmp_path: Path) -> None:
    run, registry = dead_run(tmp_path)
    Path(run.folder).rmdir()
    assert recover(run, registry).errors == ()
    assert registry.runs() == []


def test_a_run_whose_engine_is_away_stays_registered_until_it_is_back_and_its_containers_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, registry = dead_run(tmp_path)
    (tmp_path / "run" / "stack").mkdir()
    (tmp_path / "run" / "stack" / OVERRIDE).write_text("{}")
    engine = StubEngine({"mine": {RUN: run.run_id}, "other": {RUN: "alive"}}, networks={"net": {RUN: run.run_id}})
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/s")
        away = recover(run, registry, FakeClock())
        assert away.again and "no Docker engine answers" in away.errors[0]
        assert registry.runs() == [run]
        with serving(engine, Path(folder) / "s"):
            back = recover(run, registry, FakeClock())
    assert (back.again, back.errors) == (False, ())
    assert registry.runs() == []
    assert set(engine.containers) == {"other"} and engine.networks == {}


def test_what_was_ordered_before_the_client_died_is_removed_when_it_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, registry = dead_run(tmp_path)
    (tmp_path / "run" / "stack").mkdir()
    (tmp_path / "run" / "stack" / OVERRIDE).write_text("{}")
    engine = StubEngine({"first": {RUN: run.run_id}})

    class Late(FakeClock):
        """While the harness waits between two looks, the engine makes one more container."""

        waits = 0

        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            self.waits += 1
            if self.waits == 1:
                engine.containers["late"] = {RUN: run.run_id}

    with tempfile.TemporaryDirectory() as folder, serving(engine, Path(folder) / "s") as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        assert recover(run, registry, Late()).errors == ()
    assert engine.containers == {}


def test_a_container_that_cannot_be_removed_is_named_and_the_run_stays_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, registry = dead_run(tmp_path)
    (tmp_path / "run" / "stack").mkdir()
    (tmp_path / "run" / "stack" / OVERRIDE).write_text("{}")
    engine = StubEngine({"stuck": {RUN: run.run_id}}, stuck={"stuck"})
    with tempfile.TemporaryDirectory() as folder, serving(engine, Path(folder) / "s") as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        done = recover(run, registry, FakeClock())
    assert done.errors == ("container stuck: stuck is in use",) and not done.again
    assert registry.runs() == [run]


def test_the_engine_that_is_asked_is_the_one_that_the_run_was_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, registry = dead_run(tmp_path)
    (tmp_path / "run" / "stack").mkdir()
    (tmp_path / "run" / "stack" / OVERRIDE).write_text("{}")
    there, here = StubEngine({"mine": {RUN: run.run_id}}), StubEngine({"also": {RUN: run.run_id}})
    with tempfile.TemporaryDirectory() as folder, serving(there, Path(folder) / "a") as far:
        monkeypatch.setenv("DOCKER_HOST", far)
        known_again(tmp_path / "run" / "stack")
        with serving(here, Path(folder) / "b") as near:
            monkeypatch.setenv("DOCKER_HOST", near)
            assert recover(run, registry, FakeClock()).errors == ()
    assert there.containers == {} and set(here.containers) == {"also"}
