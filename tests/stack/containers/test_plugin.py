"""What the Compose plugin answers, with a `docker` that answers as told."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.model.errors import StackError
from harness.stack.containers.plugin import (
    PortTaken,
    client_environ,
    client_mark,
    compose_command,
    compose_images,
    compose_version,
)
from harness.stack.owned import RUN_LABEL


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "docker"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return program


def answers(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.mark.parametrize("said", ["2.15.0", "2.26.1-4", "2.30.3", "5.0.1"])
def test_a_version_that_is_new_enough_is_taken(docker: Path, said: str) -> None:
    answers(docker, f"echo {said}")
    assert compose_version() == said


@pytest.mark.parametrize("said", ["1.29.2", "2.14.9", "unknown", ""])
def test_a_version_that_is_too_old_or_unknown_is_refused_with_the_remedy(docker: Path, said: str) -> None:
    answers(docker, f"echo {said}")
    with pytest.raises(StackError, match=r"2\.15 or later is needed; install Docker Engine"):
        compose_version()


def test_a_client_without_the_plugin_is_told_from_one_that_fails(docker: Path) -> None:
    answers(docker, "echo \"docker: 'compose' is not a docker command.\" >&2; exit 1")
    with pytest.raises(StackError, match="docker has no Compose plugin; install"):
        compose_version()
    answers(docker, "echo something >&2; echo 'no such service: x' >&2; exit 1")
    with pytest.raises(StackError, match=r"^docker compose: no such service: x$"):
        compose_command(["up"], {}, 5.0)


def test_no_client_is_one_sentence(docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(docker.parent))
    with pytest.raises(StackError, match=r"^docker: no such program; install"):
        compose_command(["up"], {}, 5.0)


@pytest.mark.parametrize(
    ("said", "port"),
    [
        (
            "driver failed programming: Bind for 127.0.0.1:20001 failed: port is already allocated",
            "port 20001",
        ),
        ("Error starting userland proxy: listen tcp4 127.0.0.1:20002: bind: address already in use", "port 20002"),
        ("Ports are not available: exposing port TCP", "a port"),
    ],
)
def test_a_port_that_is_taken_is_named(docker: Path, said: str, port: str) -> None:
    answers(docker, f"echo 'Error response from daemon: {said.replace('Ports', 'ports')}' >&2; exit 1")
    with pytest.raises(PortTaken, match=f"^{port} on 127.0.0.1 is taken by another process"):
        compose_command(["up"], {}, 5.0)


def test_a_client_that_takes_too_long_is_ended_and_named_by_what_it_did(docker: Path) -> None:
    answers(docker, "exec sleep 20")
    with pytest.raises(StackError, match=r"^docker compose up took more than 0 s$"):
        compose_command(["--project-name", "x", "up", "--detach"], {}, 0.2)


def test_images_are_named_once_each(docker: Path) -> None:
    answers(docker, "echo b; echo a; echo b; echo")
    assert compose_images([Path("compose.yaml")], {}) == ["a", "b"]


def test_a_runs_client_carries_its_label_and_a_mark_of_its_own(docker: Path) -> None:
    answers(docker, "env")
    lines = compose_command(["up"], client_environ("r1"), 5.0).splitlines()
    assert f"{RUN_LABEL}=r1" in lines and client_mark() in lines
