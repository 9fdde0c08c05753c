"""Looking at a run from outside: from its files alone, at any byte of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.cli.main import call
from harness.record.append import AppendLog, being_written
from harness.stack.owned import identify
from harness.store.folder import RunFolder
from harness.store.registry import LiveRun, Registry, registry_folder
from harness.watch import Watching, view_lines
from tests.fake_run import run_fake

KILL = "episodes: 2\nfaults: [{kind: process.pause, on: primary, for_s: 4, at_s: 1}]\n"


def text(watching: Watching, now_s: float = 0.0) -> str:
    return "\n".join(view_lines(watching.look(now_s)))


def test_a_run_that_ended_says_how_and_what_happened(tmp_path: Path) -> None:
    said = text(Watching(run_fake(tmp_path, KILL)))
    assert "phase     ended  episode 2 of 2 (complete)" in said
    assert "faults    none in place" in said
    assert "100%" in said


def test_at_every_event_of_a_growing_file_the_view_is_that_of_the_moment(tmp_path: Path) -> None:
    folder = run_fake(tmp_path, KILL)
    lines = folder.events.read_bytes().splitlines(keepends=True)
    folder.events.write_bytes(b"")
    origin_s = json.loads(folder.header.read_text())["origin_monotonic_s"]
    watching = Watching(folder)
    seen = []
    with folder.events.open("ab") as file:
        for line in lines:
            for piece in (line[:7], line[7:]):  # a reader may come in the midst of a line
                file.write(piece)
                file.flush()
                watching.look(0.0)
            view = watching.look(origin_s + json.loads(line)["at_s"])
            seen.append((view.phase, dict(view.active), "\n".join(view_lines(view))))
    assert {phase for phase, _, _ in seen} >= {"starting", "baseline", "fault", "recovery", "ended"}
    during = [said for phase, active, said in seen if active]
    assert during
    assert all("process.pause on primary" in said for said in during)
    assert any(" left" in said for _, _, said in seen)


def test_success_rate_and_recovery_come_from_the_load_log(tmp_path: Path) -> None:
    folder = run_fake(tmp_path, KILL)
    rows = [["b", "user", 0]]
    for index, outcome in enumerate(["ok", "refused", "refused", "ok"]):
        done_us = 1_000_000 * (index + 1)
        rows.append(["s", "user", index, done_us - 1000])
        rows.append(
            ["d", "user", index, done_us - 1000, None, done_us, outcome, None, None, None, None, None, False, None]
        )
    log = folder.request_log
    log.write_text("".join(json.dumps(row) + "\n" for row in rows[:-2]))
    watching = Watching(folder)
    assert "users lose requests" in text(watching)
    with log.open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows[-2:])
        file.write('["d","user",9')
    said = text(watching)
    assert "2 ok, 2 lost, 0 open" in said
    assert "served again" in said


def test_watching_changes_nothing_in_the_folder_and_the_run_goes_on(tmp_path: Path) -> None:
    folder = run_fake(tmp_path, KILL)
    log = AppendLog(folder.events)
    before = {path.name: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.path.iterdir()}
    text(Watching(folder))
    assert being_written(folder.events)
    log.close()
    assert {path.name: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.path.iterdir()} == before


def test_damaged_lines_of_a_dead_run_are_passed_over(tmp_path: Path) -> None:
    folder = run_fake(tmp_path, KILL)
    with folder.events.open("ab") as file:
        file.write(b'{"at_s":"x","kind":1}\nnot json\n[1]\n' + b"[" * 5000 + b"\n{")
    assert "ended" in text(Watching(RunFolder(folder.path)))


def test_the_verb_ends_with_the_run_and_refuses_what_is_no_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_fake(tmp_path, KILL)
    assert call(["watch", str(folder.path), "--once"]) == 0
    assert call(["watch", str(folder.path)]) == 0
    assert "phase     ended" in capsys.readouterr().out
    assert call(["watch", str(tmp_path / "nothing")]) == 2
    assert call(["watch"]) == 2
    assert "no run is alive" in capsys.readouterr().err


def test_the_end_says_the_verdict_and_where_to_read_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run_fake(tmp_path, KILL)
    assert call(["watch", str(folder.path), "--once"]) == 0
    assert f"next      harness judge {folder.path}" in capsys.readouterr().out
    assert call(["judge", str(folder.path)]) in (0, 1, 3)
    capsys.readouterr()
    assert call(["watch", str(folder.path)]) == 0
    said = capsys.readouterr().out
    assert f"report    {folder.path / 'report.html'}" in said
    assert "verdict   " in said


def test_without_a_name_the_newest_run_that_goes_on_is_shown_and_the_others_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry, me = Registry(registry_folder(os.environ)), identify(os.getpid())
    assert me is not None
    folders = {name: run_fake(tmp_path / name, KILL) for name in ("1-old", "2-new", "3-over")}
    for name, folder in folders.items():
        registry.add(LiveRun(name, str(folder.path), os.getpid(), me.started))
    logs = [AppendLog(folders[name].events) for name in ("1-old", "2-new")]
    assert call(["watch", "--once"]) == 0
    said = capsys.readouterr()
    for log in logs:
        log.close()
    assert said.err == "also alive: 1-old; name one to watch it\n"
    assert f"harness judge {folders['2-new'].path}" in said.out


def told_by(folder: RunFolder, *events: dict[str, object]) -> str:
    """What is said at a moment at which just these events have been written."""
    folder.events.write_text("".join(json.dumps(event) + "\n" for event in events))
    folder.request_log.unlink(missing_ok=True)
    origin_s = json.loads(folder.header.read_text())["origin_monotonic_s"]
    return text(Watching(folder), origin_s + float(str(events[-1]["at_s"])) + 2.0)


def test_a_target_that_comes_up_is_no_news_and_nobody_has_asked_yet(tmp_path: Path) -> None:
    said = told_by(run_fake(tmp_path, KILL), {"at_s": 1.0, "kind": "target.readmitted", "replica": "primary"})
    assert "readmitted" not in said
    assert "nobody has asked yet" in said


def test_a_fault_is_named_in_each_of_its_lines_and_a_replica_that_is_out_says_for_how_long(tmp_path: Path) -> None:
    fault = {"episode": 1, "fault": 0, "on": "primary"}
    said = told_by(
        run_fake(tmp_path, KILL),
        {"at_s": 3.0, "kind": "schedule_begin", "begin_s": 3.0},
        {"at_s": 11.0, "kind": "fault_begin", **fault, "fault_kind": "process.kill"},
        {"at_s": 11.1, "kind": "fault_end", **fault},
        {"at_s": 11.2, "kind": "fault_proof", **fault, "proven": False, "evidence": "process 7 is there"},
        {"at_s": 11.3, "kind": "target.exited", "replica": "primary", "how": "terminated by SIGKILL"},
        {"at_s": 12.0, "kind": "target.isolated", "replica": "primary", "reason": "3 missed beats"},
    )
    assert "faults    none in place" in said
    assert "target    primary gets no requests for 2.0 s" in said
    assert "8.10 s  fault end      process.kill on primary" in said
    assert "process.kill on primary: NOT PROVEN, process 7 is there" in said
    assert "exited         primary: terminated by SIGKILL" in said


def test_a_loss_is_timed_from_its_fault(tmp_path: Path) -> None:
    folder = run_fake(tmp_path, KILL)
    fault_s = 2.5
    log = folder.request_log
    rows = [["b", "user", 0]]
    for index, outcome in enumerate(["ok", "refused", "refused", "ok"]):
        done_us = 1_000_000 * (index + 1)
        rows.append(["s", "user", index, done_us - 1000])
        rows.append(
            ["d", "user", index, done_us - 1000, None, done_us, outcome, None, None, None, None, None, False, None]
        )
    begin = {"at_s": fault_s, "kind": "fault_begin", "episode": 1, "fault": 0, "fault_kind": "k", "on": "primary"}
    folder.events.write_text(json.dumps(begin) + "\n")
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    origin_s = json.loads(folder.header.read_text())["origin_monotonic_s"]
    assert "recovery  served again 1.5 s after the fault; nothing lost for 2.0 s" in text(
        Watching(folder), origin_s + 5
    )
