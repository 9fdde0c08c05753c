"""What the container stack can take away from a replica, and look at: by the engine, by a helper inside, by the kernel.

Evidence comes from the kernel of the engine's host: cgroup counters, /proc of the server process, the file systems that
it sees. What is changed can be put right by another process: see `container_undo.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from harness.model.errors import StackError
from harness.model.plan import Prompt
from harness.record.clock import Clock
from harness.record.journal import Inverse
from harness.stack.base import TargetProcess
from harness.stack.containers import inside
from harness.stack.containers.cgroup import Cgroup, cgroup_of
from harness.stack.containers.clock import FAKETIME, clock_file, write_offset
from harness.stack.containers.kernel_log import memory_kills
from harness.stack.containers.undo import HELPER, device_of, files_limit, oom_score
from harness.stack.links import Ask, Look
from harness.stack.look import look_at, request_bytes
from harness.stack.owned import owned_processes
from harness.stack.resources import Holding, Memory, Processors, Space

if TYPE_CHECKING:
    from harness.stack.containers.admin import ContainerAdmin

__all__ = ["ContainerResources", "Place"]

GRACE_S = 5.0  # the helper ends by itself that much later than it should have been ended
HEALTH = Ask(page="/health", limit_s=0.8)


@dataclass(frozen=True)
class Place:
    """What a run's stack knows of itself."""

    run_id: str
    folder: Path  # the stack's, in the run's folder
    containers: ContainerAdmin
    process: Callable[[str], TargetProcess | None]
    restart: Callable[[str, Callable[[], None]], None]  # a replica, and what to do as soon as it was started
    ooms: Callable[[str], int]
    ports: Mapping[str, int]  # where replicas listen on 127.0.0.1, past the links
    look: Callable[[str, Ask], Look]  # past the links
    clock: Clock


class ContainerResources:
    """The replicas of one run."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def look(self, replica: str, ask: Ask) -> Look:
        return self._place.look(replica, ask)

    def undone(self, inverse: Inverse) -> None:
        pass

    def memory(self, replica: str) -> Memory | None:
        group = self._cgroup(replica)
        return None if group is None else group.memory()

    def ooms(self, replica: str) -> tuple[int, int]:
        """By the engine's events and by the kernel's log."""
        container_id = self._place.containers.container_id(replica)
        return self._place.ooms(replica), memory_kills(container_id) if container_id else 0

    def processors(self, replica: str) -> Processors | None:
        group = self._cgroup(replica)
        return None if group is None else group.processors()

    def space(self, process: TargetProcess, folder: str) -> Space | None:
        root = Path(f"/proc/{process.pid}/root")
        try:
            if os.stat(root / folder.lstrip("/")).st_dev == os.stat(root).st_dev:
                return None  # no volume of its own: filling it would fill the engine's disk
            found = os.statvfs(root / folder.lstrip("/"))
        except OSError:
            return None
        return Space(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)

    def files(self, process: TargetProcess) -> tuple[int, int] | None:
        limit = files_limit(process.pid)
        try:
            open_now = len(os.listdir(f"/proc/{process.pid}/fd"))
        except OSError:
            return None
        return None if limit is None else (open_now, limit)

    def hold(self, process: TargetProcess, holding: Holding) -> None:
        pid = _pid_inside(process.pid)
        if pid is None:
            raise StackError(f"process {process.pid} of {process.replica} has ended")
        numbers = [str(pid), str(process.started), f"{holding.for_s + GRACE_S:g}", repr(holding.amount)]
        text = Path(inside.__file__).read_text(encoding="utf-8")
        command = ["python3", "-I", "-S", "-c", text, holding.what, *numbers, holding.folder]
        self._place.containers.run_inside(process.replica, command, {HELPER: holding.tag})

    def holds(self, holding: Holding) -> bool:
        return any(owned_processes(self._place.run_id, f"{HELPER}={holding.tag}"))

    def hold_inverse(self, process: TargetProcess, holding: Holding) -> Inverse:
        if not any(found.pid == process.pid for found in owned_processes(self._place.run_id)):
            raise StackError(f"process {process.pid} of {process.replica} has ended, or only root may look into it")
        before = {"files": files_limit(process.pid), "oom_score_adj": oom_score(process.pid)}
        victim = {"pid": process.pid, "started": process.started}
        return Inverse("container.end_helper", {"run_id": self._place.run_id, "tag": holding.tag, **victim, **before})

    def limit_processors(self, replica: str, processors: float) -> None:
        self._place.containers.update(replica, quota_words(self._place.containers.host_config(replica), processors))

    def processors_inverse(self, replica: str) -> Inverse:
        config = self._place.containers.host_config(replica)
        words = quota_words(config, _quota_of(config))
        return Inverse("container.update", {"run_id": self._place.run_id, "service": replica, "words": words})

    def clock_can_jump(self, replica: str) -> str | None:
        process = self._place.process(replica)
        if process is None:
            return f"{replica} has no running process"
        if not clock_file(self._place.folder, replica).exists():
            return f"{replica} was started with the host's own clock"
        try:
            loaded = Path(FAKETIME).name.partition(".")[0] in Path(f"/proc/{process.pid}/maps").read_text()
        except OSError as error:
            return f"process {process.pid} cannot be looked into ({error.strerror})"
        return None if loaded else f"{replica} runs without {FAKETIME}; `harness images` builds an image that has it"

    def set_clock(self, replica: str, offset_s: float) -> None:
        write_offset(clock_file(self._place.folder, replica), offset_s)

    def clock_inverse(self, replica: str) -> Inverse:
        path = clock_file(self._place.folder, replica)
        return Inverse("clock.restore", {"path": str(path), "root": str(self._place.folder)})

    def clock_offset_s(self, replica: str) -> float | None:
        request = request_bytes(HEALTH, Prompt((), 1, None))
        wall_s = dated_s(look_at(self._place.ports[replica], HEALTH, request, self._place.clock).data)
        return None if wall_s is None else wall_s - self._place.clock.wall_s()

    def slow_reads(self, replica: str, bytes_per_s: int) -> None:
        device = self._device(replica)

        def slow_down() -> None:
            group = self._cgroup(replica)
            if group is None:
                raise StackError(f"{replica} was restarted and has no cgroup")
            path, order = group.read_limit_order(device, bytes_per_s)
            try:
                path.write_text(order)
            except OSError as error:
                raise StackError(f"{path}: {error.strerror}") from error
            for file in sorted(self._model(replica).iterdir()):
                _drop_cache(file)

        self._place.restart(replica, slow_down)

    def slow_reads_inverse(self, replica: str) -> Inverse:
        group, device = self._cgroup(replica), self._device(replica)
        path = None if group is None else group.read_limit_order(device, None)[0]
        if path is None or not os.access(path, os.W_OK):
            raise StackError(f"reads of {replica} cannot be throttled: {path or 'its cgroup'} cannot be written here")
        return Inverse("container.read_limit", {"run_id": self._place.run_id, "service": replica, "device": device})

    def reads(self, replica: str) -> tuple[int, int | None] | None:
        group, device = self._cgroup(replica), self._device(replica)
        count = None if group is None else group.read_bytes(device)
        return None if group is None or count is None else (count, group.read_limit(device))

    def _cgroup(self, replica: str) -> Cgroup | None:
        process = self._place.process(replica)
        return None if process is None else cgroup_of(process.pid)

    def _device(self, replica: str) -> str:
        return device_of(self._model(replica))

    def _model(self, replica: str) -> Path:
        return self._place.folder / f"model-{replica}"


def quota_words(config: Mapping[str, object], processors: float | None) -> list[str]:
    """What `docker update` is told; a container that was given a quota in one way takes no other."""
    if config.get("NanoCpus"):
        return ["--cpus", f"{processors:g}"]
    period = int(str(config.get("CpuPeriod") or 100_000))
    quota = -1 if processors is None else max(1000, round(processors * period))
    return ["--cpu-period", str(period), "--cpu-quota", str(quota)]


def dated_s(answer: bytes) -> float | None:
    """Seconds since the epoch by an HTTP answer's Date header."""
    for line in answer.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"date":
            try:
                return parsedate_to_datetime(value.strip().decode("ascii", "replace")).timestamp()
            except ValueError:
                return None
    return None


def _quota_of(config: Mapping[str, object]) -> float | None:
    nano, quota = int(str(config.get("NanoCpus") or 0)), int(str(config.get("CpuQuota") or 0))
    if nano:
        return nano / 1e9
    return quota / int(str(config.get("CpuPeriod") or 100_000)) if quota > 0 else None


def _pid_inside(pid: int) -> int | None:
    """What a process is called in its own container."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[-1]) for line in lines if line.startswith("NSpid:")), pid)


def _drop_cache(path: Path) -> None:
    """So that the next who reads the file reads it from the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
