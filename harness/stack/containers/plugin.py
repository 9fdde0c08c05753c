"""The Compose plugin: bringing a project up, and whether it is there, is new enough, and has its images.

A client carries its run's label and a mark of its own. When the harness dies while a client brings the stack up, the
client is ended first: it would make containers behind the back of whoever removes them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.model.errors import StackError
from harness.stack.owned import RUN_LABEL

__all__ = [
    "INSTALL",
    "PortTaken",
    "client_environ",
    "client_mark",
    "compose_command",
    "compose_images",
    "compose_version",
    "docker_command",
]

INSTALL = "install Docker Engine 20.10 or later and its Compose plugin, or use `--stack local`"
VERSION_MIN = (2, 15)  # `pull --ignore-buildable` came with it
ANSWER_S = 10.0
MARK = "RELIABILITY_HARNESS_PART"
TAKEN = re.compile(r"(?:127\.0\.0\.1|0\.0\.0\.0):(\d+)")
TAKEN_SIGNS = ("port is already allocated", "address already in use", "ports are not available")


class PortTaken(StackError):
    """A port that the project publishes is somebody else's."""


def client_mark() -> str:
    """What tells a run's Compose clients from its other processes, as NAME=VALUE."""
    return f"{MARK}=compose"


def client_environ(run_id: str) -> dict[str, str]:
    """Variables of a run's Compose clients."""
    name, _, value = client_mark().partition("=")
    return {RUN_LABEL: run_id, name: value}


def compose_version() -> str:
    """The plugin's version. Raises StackError, with the remedy, when there is none or it is too old."""
    said = compose_command(["version", "--short"], {}, ANSWER_S).strip()
    numbers = [int(number) for number in re.findall(r"\d+", said)[:2]]
    if len(numbers) < 2 or tuple(numbers) < VERSION_MIN:
        wanted = ".".join(str(number) for number in VERSION_MIN)
        raise StackError(
            f"the Compose plugin is {said or 'of no known version'}, and {wanted} or later is needed; {INSTALL}"
        )
    return said


def compose_images(files: Sequence[Path], environ: Mapping[str, str], services: Sequence[str] = ()) -> list[str]:
    """The images that a project would run, each once, with variables and the .env file beside it resolved.

    `services`: only theirs, whatever profile they are in; none: all that are in no profile.
    """
    named = [part for file in files for part in ("--file", str(file))]
    said = compose_command([*named, "config", "--images", *services], environ, ANSWER_S)
    return sorted({line.strip() for line in said.splitlines() if line.strip()})


def compose_command(arguments: Sequence[str], environ: Mapping[str, str], within_s: float) -> str:
    """`docker compose ...`; returns what it wrote. Raises StackError with its last line, PortTaken for a port."""
    program = shutil.which("docker")
    if program is None:
        raise StackError(f"docker: no such program; {INSTALL}")
    try:
        done = subprocess.run(
            [program, "compose", *arguments],
            capture_output=True,
            text=True,
            timeout=within_s,
            env={**os.environ, **environ},
            check=False,
            start_new_session=True,  # a Ctrl-C at the terminal is for us: we take the project down
        )
    except subprocess.TimeoutExpired as error:
        raise StackError(f"docker compose {_verb(arguments)} took more than {within_s:.0f} s") from error
    if done.returncode != 0:
        raise _refusal(done.stderr)
    return done.stdout


def docker_command(arguments: Sequence[str], within_s: float) -> str:
    """`docker ...`; returns what it wrote. Raises StackError with its last line."""
    program = shutil.which("docker")
    if program is None:
        raise StackError(f"docker: no such program; {INSTALL}")
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=within_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise StackError(f"docker {arguments[0]} took more than {within_s:.0f} s") from error
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["it wrote nothing"]
        raise StackError(f"docker {arguments[0]}: {lines[-1]}")
    return done.stdout


def _refusal(said: str) -> StackError:
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["it wrote nothing"]
    last = lines[-1]
    if "is not a docker command" in said or "unknown shorthand flag" in said:
        return StackError(f"docker has no Compose plugin; {INSTALL}")
    if any(sign in last for sign in TAKEN_SIGNS):
        found = TAKEN.search(last)
        which = f"port {found[1]}" if found else "a port"
        return PortTaken(f"{which} on 127.0.0.1 is taken by another process; end it, or run again")
    return StackError(f"docker compose: {last}")


def _verb(arguments: Sequence[str]) -> str:
    return next((one for one in arguments if one in ("up", "pull", "build", "config", "version")), arguments[-1])
