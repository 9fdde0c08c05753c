"""The verbs for many runs, as a user says them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.cli.main import call
from harness.session import judge_folder
from tests.fake_run import run_fake

pytestmark = pytest.mark.whole

KILL = "faults: [{kind: process.kill, on: primary, at_s: 1}]\n"


def reports(tmp_path: Path, count: int) -> list[Path]:
    found = []
    for number in range(count):
        folder = run_fake(tmp_path / f"night-{number}", KILL)
        judge_folder(folder)
        found.append(folder.path)
    return found


def test_index_writes_the_page_again_and_again_and_survives_broken_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = reports(tmp_path, 3)
    (made[0] / "verdict.json").write_text("{")
    assert call(["index", str(tmp_path)]) == 0
    assert "2 runs, 1 left out" in capsys.readouterr().out
    first = (tmp_path / "index.html").read_text()
    assert call(["index", str(tmp_path)]) == 0
    assert (tmp_path / "index.html").read_text() == first
    judge_folder_again = call(["judge", str(made[0])])
    assert judge_folder_again == 0
    assert call(["index", str(tmp_path)]) == 0
    assert "left out" not in (tmp_path / "index.html").read_text()


def test_index_of_a_folder_that_is_not_there_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["index", str(tmp_path / "nowhere")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_compare_prints_or_writes_every_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = (str(path) for path in reports(tmp_path, 2))
    assert call(["compare", a, b]) == 0
    assert "cannot tell" in capsys.readouterr().out
    for name in ("md", "html"):
        out = tmp_path / f"out.{name}"
        assert call(["compare", a, b, "--format", name, "--out", str(out)]) == 0
        assert "cannot tell" in out.read_text()


def test_prune_says_what_it_would_do_and_does_it_only_when_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = reports(tmp_path, 2)
    header = json.loads((new / "header.json").read_text())
    (new / "header.json").write_text(json.dumps(header | {"wall_begin": "2026-01-01T00:00:00+00:00"}))
    assert call(["prune", str(tmp_path), "--keep", "1"]) == 0
    assert "say --yes" in capsys.readouterr().out
    assert old.exists()
    assert call(["prune", str(tmp_path), "--keep", "1", "--yes"]) == 0
    assert not old.exists()
    assert new.exists()


def test_prune_never_removes_a_run_that_left_a_fault_unhealed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (only,) = reports(tmp_path, 1)
    lines = [line for line in (only / "undo.jsonl").read_text().splitlines() if "undone" not in line]
    (only / "undo.jsonl").write_text("\n".join(lines) + "\n")
    assert call(["prune", str(tmp_path), "--keep", "0", "--yes"]) == 0
    assert "harness undo" in capsys.readouterr().out
    assert only.exists()


def test_prune_without_a_limit_is_refused_and_an_error_of_the_disk_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["prune", str(tmp_path)]) == 2
    reports(tmp_path, 1)

    def refuse(*_: object) -> None:
        raise OSError("read-only file system")

    monkeypatch.setattr(os, "replace", refuse)
    assert call(["prune", str(tmp_path), "--keep", "0", "--yes"]) == 2
    assert "read-only file system" in capsys.readouterr().err
