"""Putting right what was taken away from a container, by whoever finds the inverse: run, guard, or the next sweep.

Each function may be called twice, and for a container or process that has gone: then there is nothing to put right.
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.model.errors import BlastRadiusError, HarnessError, StackError
from harness.record.clock import SystemClock
from harness.stack.containers.cgroup import cgroup_of
from harness.stack.containers.clock import write_offset
from harness.stack.owned import ProcessId, identify, owned_processes, process_state, send_signal

__all__ = ["HELPER", "device_of", "end_helper", "files_limit", "lift_read_limit", "oom_score", "restore_clock",
           "update_again"]  # fmt: skip

HELPER = "RELIABILITY_HARNESS_HELPER"  # in the environment of a helper, beside the run's label: its tag
END_S = 1.0  # a helper that fills memory may be in the kernel for that long
LOOK_S = 0.02


def end_helper(args: Mapping[str, Any]) -> None:
    """End a helper; it puts right what it changed of the server, and if it could not any more, that is done here."""
    run_id, tag = args["run_id"], f"{HELPER}={args['tag']}"
    clock = SystemClock()
    for name in (signal.SIGTERM, signal.SIGKILL):
        for helper in owned_processes(run_id, tag):
            send_signal(helper, name, run_id)
        deadline_s = clock.now() + END_S
        while any(owned_processes(run_id, tag)) and clock.now() < deadline_s:
            clock.sleep(LOOK_S)
    if any(owned_processes(run_id, tag)):
        raise HarnessError(f"the helper {args['tag']} of run {run_id} could not be ended")
    server = ProcessId(args["pid"], args["started"])
    if process_state(server) in (None, "Z", "X"):
        return
    try:
        _put_right(server, args)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise HarnessError(f"process {server.pid} could not be put right: {error.strerror}; try as root") from error


def _put_right(server: ProcessId, args: Mapping[str, Any]) -> None:
    files, score = args.get("files"), args.get("oom_score_adj")
    wrong_files = files is not None and files_limit(server.pid) not in (None, files)
    wrong_score = score is not None and oom_score(server.pid) not in (None, score)
    if not wrong_files and not wrong_score:
        return
    if server not in list(owned_processes(args["run_id"])):
        raise BlastRadiusError(f"process {server.pid} does not belong to run {args['run_id']}: it was not changed")
    if wrong_files and files is not None:
        hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (files, hard))
    if wrong_score:
        Path(f"/proc/{server.pid}/oom_score_adj").write_text(str(score))


def update_again(args: Mapping[str, Any]) -> None:
    """Give a container back what `docker update` took from it; one that has been removed needs nothing."""
    # Here, since the client takes 0.3 s to import, which most runs' guards can do without.
    from harness.stack.containers.admin import ContainerAdmin

    containers = ContainerAdmin(args["run_id"])
    if containers.state(args["service"]) is not None:
        containers.update(args["service"], args["words"])


def restore_clock(args: Mapping[str, Any]) -> None:
    """The replica's wall clock is the host's again, within a second."""
    path, root = Path(args["path"]), Path(args["root"])
    if not path.resolve().is_relative_to(root.resolve()):
        raise BlastRadiusError(f"{path} lies outside the run's folder {root}: it was not written")
    if path.parent.is_dir():
        write_offset(path, 0.0)


def lift_read_limit(args: Mapping[str, Any]) -> None:
    """Full speed for a container's reads; a limit ends with the cgroup that has it, that is with each restart."""
    from harness.stack.containers.admin import ContainerAdmin

    state = ContainerAdmin(args["run_id"]).state(args["service"])
    group = None if state is None or not state.pid else cgroup_of(state.pid)
    if state is None or group is None or not identify(state.pid):
        return
    path, order = group.read_limit_order(args["device"], None)
    with suppress(FileNotFoundError):  # it has just ended
        path.write_text(order)
    if group.read_limit(args["device"]) is not None:
        raise HarnessError(f"{path} still limits reads from {args['device']}")


def device_of(folder: Path) -> str:
    """`MAJOR:MINOR` of the disk that a folder lies on. Raises StackError when there is none that could be throttled."""
    found = os.stat(folder).st_dev
    number = f"{os.major(found)}:{os.minor(found)}"
    block = Path("/sys/dev/block") / number
    if not block.exists():
        raise StackError(f"{folder} lies on no block device (but on {number}), so its reads cannot be throttled")
    if (block / "partition").exists():  # limits are the whole disk's
        return (block.resolve().parent / "dev").read_text().strip()
    return number


def files_limit(pid: int) -> int | None:
    """How many descriptors a process may have (the soft limit), as /proc says."""
    try:
        lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    except OSError:
        return None
    words = next((line.split() for line in lines if line.startswith("Max open files")), [])
    return int(words[3]) if len(words) > 3 and words[3].isdigit() else None


def oom_score(pid: int) -> int | None:
    """How readily the kernel kills it when memory runs out, -1000 to 1000."""
    try:
        return int(Path(f"/proc/{pid}/oom_score_adj").read_text())
    except OSError:
        return None
