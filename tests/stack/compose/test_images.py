"""Building images without a registry, with programs that only note how they were called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.model.errors import StackError
from harness.stack.compose.images import OFFLINE, OURS, build_offline

ROOT = Path(__file__).parents[3]


class Programs:
    """A PATH of programs that write their arguments down."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "calls.txt"

    def add(self, name: str, then: str = "exit 0") -> None:
        program = self._folder / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> "{self._log}"\n{then}\n')
        program.chmod(0o755)

    def calls(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    folder = tmp_path / "bin"
    folder.mkdir()
    made = Programs(folder)
    made.add("python")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setattr("harness.stack.compose.images.sys.executable", str(folder / "python"))
    return made


def test_the_base_image_is_made_once_and_the_targets_image_each_time(programs: Programs, tmp_path: Path) -> None:
    programs.add("docker")
    said: list[str] = []
    build_offline(tmp_path, said.append)
    calls = programs.calls()
    assert not [call for call in calls if "import" in call]  # `docker image inspect` has found it
    (build,) = [call for call in calls if call.startswith("docker build")]
    assert f"BASE={OFFLINE.base}" in build and f"--tag {OFFLINE.target}" in build
    assert said == ["wheels", "image of the target"]


def test_after_a_build_only_images_of_ours_without_a_name_are_removed(programs: Programs, tmp_path: Path) -> None:
    programs.add("docker")
    build_offline(tmp_path, lambda _: None)
    assert programs.calls()[-1] == f"docker image prune --force --filter label={OURS}"
    assert f"LABEL {OURS}=" in (ROOT / "compose" / "Dockerfile").read_text()


def test_wheels_come_in_the_versions_that_are_pinned(programs: Programs, tmp_path: Path) -> None:
    programs.add("docker")
    build_offline(tmp_path, lambda _: None)
    (download,) = [call for call in programs.calls() if call.startswith("python")]
    assert f"-c {tmp_path / 'constraints.txt'}" in download
    assert f"-d {tmp_path / 'compose' / 'wheelhouse'}" in download


def test_a_step_that_fails_is_named_with_its_last_line(programs: Programs, tmp_path: Path) -> None:
    programs.add("docker", 'case "$1" in build) echo "no space left on device" >&2; exit 1;; esac')
    with pytest.raises(StackError, match="docker build --quiet: no space left on device"):
        build_offline(tmp_path, lambda _: None)


def test_without_debootstrap_the_remedy_is_said(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.add("docker", 'test "$1" != image')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(StackError, match="debootstrap: no such program; `apt-get install debootstrap`"):
        build_offline(tmp_path, lambda _: None)
