"""Bringing a run's project up: what must be there first, whose name it is, and ports that somebody took meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.model.errors import StackError
from harness.stack.containers.plugin import (
    PortTaken,
    client_environ,
    compose_command,
    compose_images,
    compose_version,
)

if TYPE_CHECKING:
    from harness.stack.containers.labelled import Containers

__all__ = ["Project", "bring_up", "check_engine", "with_other_ports"]

PORT_TRIES = 3
BUILD = "build it with `harness images`, or `harness images --offline` where there is no registry"


@dataclass(frozen=True)
class Project:
    """A run's Compose project. `services`: those to start; all of the file when there are none."""

    name: str
    run_id: str
    files: Sequence[Path]
    environ: Mapping[str, str] = field(default_factory=dict)
    services: Sequence[str] = ()


def check_engine(file: Path, environ: Mapping[str, str]) -> None:
    """Raise StackError, with the remedy, for whatever would keep `file` from being brought up here."""
    from harness.stack.containers.labelled import Containers

    if not file.is_file():
        raise StackError(f"{file}: missing; run from a checkout of the project")
    with Containers("") as engine:
        engine.check()
        compose_version()
        check_images([file], environ, engine)


def check_images(
    files: Sequence[Path], environ: Mapping[str, str], engine: Containers, services: Sequence[str] = ()
) -> None:
    """Raise StackError for an image that the engine does not have, of all services or of those that are named."""
    missing = engine.missing_images(compose_images(files, environ, services))
    if missing:
        raise StackError(f"image {missing[0]} is not there; {BUILD}")


def bring_up(project: Project, engine: Containers, within_s: float) -> None:
    """Start the project's containers; does not wait for readiness. Raises StackError, PortTaken for a port."""
    strangers = engine.strangers(project.name)
    if strangers:
        raise StackError(
            f"the Compose project {project.name} belongs to somebody else (container {strangers[0]}); "
            "run again, which makes a new name, or remove it with `docker compose -p NAME down`"
        )
    check_images(project.files, project.environ, engine, project.services)
    files = [part for file in project.files for part in ("-f", str(file))]
    compose_command(
        ["--project-name", project.name, *files, "up", "--detach", "--quiet-pull", *project.services],
        {**client_environ(project.run_id), **project.environ},
        within_s,
    )


def with_other_ports(attempt: Callable[[], None], clear: Callable[[], object]) -> None:
    """Try, and again with what `attempt` chooses anew when somebody took a port in between. Raises PortTaken."""
    for left in reversed(range(PORT_TRIES)):
        try:
            attempt()
        except PortTaken:
            if not left:
                raise
            clear()
        else:
            return
