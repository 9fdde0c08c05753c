"""What `doctor` finds of Docker, with a client that answers as told."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.doctor import Item, examine

WHOLE = {"version": "echo 28.0", "compose": "echo 2.30", "image": "echo sha256:1"}


def docker_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: dict[str, str] | None) -> Item:
    if answers is not None:
        cases = "\n".join(f"{name}) {answer};;" for name, answer in answers.items())
        program = tmp_path / "docker"
        program.write_text(f'#!/bin/sh\ncase "$1" in\n{cases}\nesac\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    (found,) = [item for item in examine() if item.what == "docker"]
    return found


@pytest.mark.parametrize(
    ("answers", "ok", "finding"),
    [
        (WHOLE, True, "engine 28.0, Compose 2.30, the target's image is built"),
        ({**WHOLE, "image": "exit 1"}, False, "engine 28.0, Compose 2.30, the target's image is not built"),
        ({**WHOLE, "compose": "exit 1"}, False, "engine 28.0 without the Compose plugin"),
        ({**WHOLE, "version": "exit 1"}, False, "client without an engine that answers"),
        (None, False, "not installed"),
    ],
    ids=["whole", "no image", "no plugin", "no engine", "no client"],
)
def test_what_is_missing_of_docker_is_named_with_a_remedy_and_never_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: dict[str, str] | None, ok: bool, finding: str
) -> None:
    found = docker_found(tmp_path, monkeypatch, answers)
    assert (found.ok, found.finding) == (ok, finding)
    assert found.remedy and not found.needed


@pytest.mark.parametrize(("user", "ok"), [(0, True), (1000, False)])
def test_who_is_not_root_is_told_what_of_a_container_cannot_be_taken_away(
    monkeypatch: pytest.MonkeyPatch, user: int, ok: bool
) -> None:
    monkeypatch.setattr("harness.doctor.os.geteuid", lambda: user)
    (found,) = [item for item in examine() if item.what == "container resources"]
    assert found.ok == ok and not found.needed
    assert ("not root" in found.finding) == (not ok)
    assert "storage.slow" in found.remedy
