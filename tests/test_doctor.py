"""What `doctor` finds of Docker, with a client that answers as told."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.doctor import Item, container_faults, examine

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


LINUX = {"OperatingSystem": "Debian GNU/Linux 12 (bookworm)", "OSType": "linux", "CgroupVersion": "2"}


@pytest.mark.parametrize(
    ("facts", "root", "finding"),
    [
        (
            LINUX,
            True,
            "Debian GNU/Linux 12 (bookworm), cgroup v2: every fault that `harness faults` lists for containers",
        ),
        ({**LINUX, "CgroupVersion": "1"}, True, "Debian GNU/Linux 12 (bookworm), cgroup v1: every fault"),
        (LINUX, False, "Debian GNU/Linux 12 (bookworm), cgroup v2, without root: network.* of the links only"),
        ({**LINUX, "SecurityOptions": ["name=rootless"]}, True, "cgroup v2, rootless: network.* of the links only"),
        (
            {**LINUX, "OperatingSystem": "Docker Desktop"},
            True,
            "Docker Desktop, cgroup v2: network.* of the links only",
        ),
    ],
    ids=["linux", "cgroup v1", "not root", "rootless", "desktop"],
)
def test_which_faults_an_engine_allows_is_said_by_its_kind(facts: dict[str, object], root: bool, finding: str) -> None:
    found = container_faults(facts, root=root)
    assert finding in found.finding
    assert found.ok == ("every fault" in finding)
    assert found.ok or found.remedy
    assert not found.needed


def test_an_engine_of_another_host_allows_what_its_api_reaches_whoever_we_are_here() -> None:
    for root in (True, False):
        found = container_faults(LINUX, root=root, same_host=False)
        assert found.ok and "of another host: process.*, network.*, node.down" in found.finding


def test_an_engine_that_says_nothing_of_itself_adds_no_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not [item for item in examine() if item.what == "container faults"]
