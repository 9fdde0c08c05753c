"""The replicas of the local stack: their fault endpoints, their start options, what /proc says of them.

What only this run may know lies in `private/` of the stack's folder, mode 0700: the token that opens the fault
endpoints, which every replica reads at its start, and a file of more options for each replica's next start. What only
the gateway may know beside it, in `private-gateway/`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.model.target import TargetOptions
from harness.record.clock import Clock
from harness.record.journal import Inverse
from harness.stack.base import TargetProcess
from harness.stack.http_get import get_json
from harness.stack.links import Ask, Look
from harness.stack.owned import ProcessId, identify
from harness.stack.reference.fault_api import FaultApi
from harness.stack.reference.settings import Ports, gateway_files, private_files
from harness.stack.reference.usage import spare_mb, usage_of
from harness.stack.service import Parameters, Usage, metric

__all__ = ["LocalService", "make_private", "remove_private"]

ANSWER_WITHIN_S = 0.8
LOAD_S = "target_model_load_seconds"


def make_private(stack_folder: Path, replicas: Sequence[str], target: TargetOptions, group: int | None = None) -> None:
    """Secrets of this run's own, and no start options yet. `group`: who may read them as well, as root decides."""
    files, gateway = private_files(stack_folder), gateway_files(stack_folder)
    _make_folder(files.folder, group)
    _write(files.token, secrets.token_hex(32))
    for replica in replicas:
        _write(files.start_options(replica), "")
    if target.secret_options:
        _make_folder(gateway.folder, group)
        _write(gateway.api_keys, secrets.token_hex(32))
        register_token = secrets.token_hex(32)
        _write(gateway.register_token, register_token)
        _write(files.register_token, register_token)


def remove_private(stack_folder: Path) -> None:
    """Nothing is left to open when the replicas are gone."""
    for files in (private_files(stack_folder), gateway_files(stack_folder)):
        shutil.rmtree(files.folder, ignore_errors=True)


def _make_folder(folder: Path, group: int | None) -> None:
    folder.mkdir(mode=0o700)
    if group is not None:
        os.chown(folder, -1, group)
        folder.chmod(0o750)


def _write(path: Path, text: str) -> None:
    """Whole or not at all, and never readable by anybody else but the folder's group, if that may enter."""
    part, folder = path.with_name(f".{path.name}.part"), path.parent.stat()
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        if folder.st_mode & stat.S_IXGRP:
            os.fchown(file.fileno(), -1, folder.st_gid)
            os.fchmod(file.fileno(), 0o640)
        file.write(text)
    os.replace(part, path)


class LocalService:
    """`look` begins a look past the links."""

    def __init__(self, run: tuple[str, Path], ports: Ports, look: Callable[[str, Ask], Look], clock: Clock) -> None:
        self._run_id, self._folder = run
        self._ports = ports
        self._look = look
        self._clock = clock
        self._files = private_files(self._folder)

    def begin(self, process: TargetProcess, fault: str, parameters: Parameters) -> None:
        self._api(process.replica).begin(fault, parameters)

    def end(self, process: TargetProcess, fault: str) -> None:
        if _lives(process):
            self._api(process.replica).end(fault)

    def has(self, process: TargetProcess, fault: str) -> bool:
        return _lives(process) and self._api(process.replica).has(fault)

    def active(self, replica: str) -> frozenset[str]:
        """All faults that a replica says it has. Raises StackError when it cannot be asked."""
        return self._api(replica).active()

    def inverse(self, process: TargetProcess, fault: str) -> Inverse:
        return Inverse(
            "service.end",
            {
                "pid": process.pid,
                "started": process.started,
                "run_id": self._run_id,
                "port": self._ports.replicas[process.replica],
                "fault": fault,
                "token_file": str(self._files.token),
            },
        )

    def start_with(self, replica: str, options: Sequence[str]) -> None:
        _write(self._files.start_options(replica), "".join(f"{option}\n" for option in options))

    def starts_with(self, replica: str) -> tuple[str, ...]:
        return tuple(self._files.start_options(replica).read_text(encoding="utf-8").splitlines())

    def start_inverse(self, replica: str) -> Inverse:
        path = self._files.start_options(replica)
        return Inverse("service.start_as_before", {"path": str(path), "root": str(self._files.folder)})

    def look(self, replica: str, ask: Ask) -> Look:
        return self._look(replica, ask)

    def load_s(self, replica: str) -> float | None:
        url = f"{self._ports.url(replica)}/metrics"
        answer = get_json(url, clock=self._clock, total_s=ANSWER_WITHIN_S)
        return None if answer is None or answer.status != 200 else metric(answer.data, LOAD_S)

    def usage(self, process: TargetProcess) -> Usage | None:
        return usage_of(ProcessId(process.pid, process.started))

    def spare_mb(self) -> float:
        return spare_mb()

    def _api(self, replica: str) -> FaultApi:
        return FaultApi(self._ports.replicas[replica], self._files.token, self._clock)


def _lives(process: TargetProcess) -> bool:
    return identify(process.pid) == ProcessId(process.pid, process.started)
