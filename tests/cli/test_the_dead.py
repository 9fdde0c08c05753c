"""Every command first cleans up after runs that have died, and says so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.cli.main import call
from harness.guard import own_run
from harness.record.journal import Inverse, Journal, pending
from harness.store.registry import LiveRun, Registry, registry_folder


@pytest.fixture
def dead(tmp_path: Path) -> LiveRun:
    run = LiveRun("dead-run", str(tmp_path / "run"), 2**22 + 1, 1)
    (tmp_path / "run").mkdir()
    Registry(registry_folder(os.environ)).add(run)
    return run


def journal(run: LiveRun, inverse: str) -> Path:
    path = Path(run.folder) / "undo.jsonl"
    log = Journal(path)
    log.intend(Inverse(inverse, {}))
    log.close()
    return path


@pytest.mark.parametrize("command", [["faults"], ["check", "--schema"], ["doctor"]])
def test_any_command_heals_what_a_dead_run_left_and_says_so_beside_its_answer(
    dead: LiveRun, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = journal(dead, "nothing")
    call(command)
    assert pending(path) == []
    assert Registry(registry_folder(os.environ)).runs() == []
    assert capsys.readouterr().err == "cleaned up after run dead-run, which had died: 0 processes ended\n"


def test_what_could_not_be_healed_is_said_and_stays_registered(
    dead: LiveRun, capsys: pytest.CaptureFixture[str]
) -> None:
    journal(dead, "no.such")
    assert call(["faults"]) == 0
    said = capsys.readouterr().err
    assert said.startswith("run dead-run had died, and is not cleaned up yet:\n  not healed: ") and "no.such" in said
    assert Registry(registry_folder(os.environ)).runs() == [dead]


def test_undo_and_stop_say_themselves_what_is_to_be_done_about_it(
    dead: LiveRun, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["stop"]) == 0
    assert "is not running any more" in capsys.readouterr().out
    assert call(["undo"]) == 0
    assert "dead-run: faults healed" in capsys.readouterr().out


def test_who_owns_a_run_and_the_stack_that_is_kept_for_it_is_asked_to_stop_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[int] = []
    monkeypatch.setattr("harness.cli.recovery.os.kill", lambda pid, _: asked.append(pid))
    for name in ("run", "run-stack"):
        Registry(registry_folder(os.environ)).add(own_run(name, tmp_path / name))
    assert call(["stop"]) == 0
    assert asked == [os.getpid()]  # twice would be an order to leave at once
    assert sorted(capsys.readouterr().out.splitlines()) == ["asked run to stop", "asked run-stack to stop"]
