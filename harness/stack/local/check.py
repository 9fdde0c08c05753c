"""What the local stack needs of a host before anything is started."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from harness.model.capability import OF_CONTAINERS, Capability
from harness.model.errors import StackError
from harness.stack.reference.settings import LocalSettings

__all__ = ["capabilities_of", "check_host"]


def check_host(settings: LocalSettings) -> None:
    """Raise StackError, with the remedy, for the first thing that is missing."""
    for module in settings.required_modules:
        if importlib.util.find_spec(module) is None:
            raise StackError(
                f"the module {module} is not installed, which the target needs; "
                "install it with `pip install 'reliability-harness[target]'`"
            )
    program = settings.proxy_command[0]
    if shutil.which(program) is None:
        raise StackError(f"{program}: no such program; set HARNESS_TOXIPROXY to a Toxiproxy server, or unset it")
    for path in ("/proc/self/maps", "/proc/self/environ"):
        if not Path(path).exists():
            raise StackError(f"{path}: missing; the local stack needs Linux, use `--stack compose` or `--stack fake`")


def capabilities_of(settings: LocalSettings) -> frozenset[Capability]:
    """What faults these settings, and this user, allow."""
    lacking = {Capability.PARTITION, Capability.KILL_INIT, Capability.NODES}  # only containers have them
    lacking |= {Capability.BALANCER, *OF_CONTAINERS}
    lacking |= set() if settings.proxy_is_ours else {Capability.INFERENCE_TOXICS}
    lacking |= set() if os.geteuid() else {Capability.FILE_PERMISSIONS}
    lacking |= set() if settings.service_faults else {Capability.SERVICE_FAULTS}
    return frozenset(Capability) - lacking
