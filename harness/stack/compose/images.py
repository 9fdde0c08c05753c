"""Images where there is no registry: a base image from Debian's packages, and wheels from a package index on it.

Where there is a registry none of this is needed: compose.yaml names public images, pinned.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from harness.model.errors import StackError

__all__ = ["OFFLINE", "OURS", "Offline", "build_offline", "remove_untagged"]

OURS = "reliability-harness.image"  # label of the images that are built here
SUITE = "bookworm"
BASE_PACKAGES = "ca-certificates,haproxy,iproute2,iptables,libfaketime,procps,prometheus,python3,python3-venv"
BASE_TAG = f"{SUITE}-{zlib.crc32(BASE_PACKAGES.encode()):08x}"  # other packages are another image
STEP_S = 900.0


@dataclass(frozen=True)
class Offline:
    """Names of the images, and the variables by which compose.yaml takes them."""

    base: str = f"reliability-harness/base:{BASE_TAG}"
    target: str = "reliability-harness/target:local"

    def environ(self) -> dict[str, str]:
        """Variable -> value."""
        return {
            "HARNESS_BASE_IMAGE": self.base,
            "HARNESS_IMAGE": self.target,
            "HARNESS_PROMETHEUS_IMAGE": self.base,
            "HARNESS_HAPROXY_IMAGE": self.base,
        }


OFFLINE = Offline()


def build_offline(root: Path, say: Callable[[str], None], names: Offline = OFFLINE) -> None:
    """Build what is missing; `root` is the checkout. Raises StackError with the step that failed and its last line."""
    docker = _program("docker", "install Docker Engine 20.10 or later")
    if not _exists(docker, names.base):
        say("base image from Debian's packages (a minute)")
        _base_image(docker, names.base)
    say("wheels")
    wheels = root / "compose" / "wheelhouse"
    pins = root / "constraints.txt"
    wanted = ["-r", str(root / "compose" / "requirements.txt"), "-c", str(pins)]
    _run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "-d", str(wheels), *wanted]
    )
    say("image of the target")
    file = str(root / "compose" / "Dockerfile")
    command = [docker, "build", "--quiet", "--file", file, "--build-arg", f"BASE={names.base}"]
    _run([*command, "--tag", names.target, str(root)], DOCKER_BUILDKIT="1")
    remove_untagged(docker)


def remove_untagged(docker: str) -> None:
    """Remove images of ours that have lost their name to a newer one; the engine keeps what a container uses."""
    _run([docker, "image", "prune", "--force", "--filter", f"label={OURS}"])


def _base_image(docker: str, image: str) -> None:
    debootstrap = _program("debootstrap", "`apt-get install debootstrap`, as root")
    with tempfile.TemporaryDirectory(prefix="harness-base-") as folder:
        system = Path(folder) / "system"
        _run([debootstrap, "--variant=minbase", f"--include={BASE_PACKAGES}", SUITE, str(system)])
        for rubbish in ("var/cache/apt/archives", "var/lib/apt/lists"):
            shutil.rmtree(system / rubbish, ignore_errors=True)
        with subprocess.Popen(["tar", "-C", str(system), "-c", "."], stdout=subprocess.PIPE) as tar:
            _run([docker, "import", "-", image], stdin=tar.stdout)


def _exists(docker: str, image: str) -> bool:
    return subprocess.run([docker, "image", "inspect", image], capture_output=True, check=False).returncode == 0


def _program(name: str, remedy: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise StackError(f"{name}: no such program; {remedy}")
    return found


def _run(command: Sequence[str], stdin: IO[bytes] | None = None, **environ: str) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=STEP_S,
            env={**os.environ, **environ},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StackError(f"{' '.join(command[:3])} took more than {STEP_S:.0f} s") from error
    if done.returncode != 0:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()] or ["it wrote nothing"]
        raise StackError(f"{' '.join(command[:3])}: {lines[-1]}")
