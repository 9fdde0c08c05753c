"""The journal of a real-time run: what was planned, and each leg before and after it. It survives the run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.model.errors import RunFolderError
from harness.record.append import AppendLog, read_lines

__all__ = ["LegEnd", "RunJournal", "Unfinished", "boot_id"]

VERSION = 1


@dataclass(frozen=True)
class LegEnd:
    """A leg that is on record: how far the schedule is, and how many of its faults have happened."""

    end_s: float
    injected: int


@dataclass(frozen=True)
class Unfinished:
    """A leg that began and has no end on record: the harness, or the machine, died in it."""

    run_id: str
    begin_s: float
    boot: str = ""  # of the machine, when it began


class RunJournal:
    """Lines that are on the disk before anything follows from them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, **plan: Any) -> None:
        """What the whole run is: seed, seconds, the soak file's text."""
        self._write({"v": VERSION, "kind": "begin", **plan})

    def leg_begins(self, run_id: str, begin_s: float, wall: str, boot: str = "") -> None:
        """Before anything of a leg is started. `boot`: see `boot_id`."""
        self._write({"kind": "leg_begin", "run_id": run_id, "begin_s": begin_s, "wall": wall, "boot": boot})

    def leg_ended(self, run_id: str, end: LegEnd, how: str) -> None:
        """After its trials are in the store."""
        self._write({"kind": "leg_end", "run_id": run_id, "end_s": end.end_s, "injected": end.injected, "how": how})

    def read(self) -> tuple[dict[str, Any], LegEnd, Unfinished | None]:
        """The plan, how far it is, and the leg that broke off. Raises RunFolderError."""
        plan: dict[str, Any] | None = None
        done, open_leg = LegEnd(0.0, 0), None
        try:
            lines = list(read_lines(self.path))
        except OSError as error:
            raise RunFolderError(f"{self.path} is missing: begin with 'harness soak run SOAK --hours H'") from error
        for _, value in lines:
            if not isinstance(value, dict):
                continue  # torn by a crash: what follows from it has not happened
            if value.get("kind") == "begin":
                plan = value
            elif value.get("kind") == "leg_begin":
                open_leg = Unfinished(value["run_id"], float(value["begin_s"]), str(value.get("boot", "")))
            elif value.get("kind") == "leg_end":
                done, open_leg = LegEnd(float(value["end_s"]), int(value["injected"])), None
        if plan is None or plan.get("v") != VERSION:
            raise RunFolderError(f"{self.path} is damaged or of another version: begin a new run")
        return plan, done, open_leg

    def _write(self, line: dict[str, Any]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            log = AppendLog(self.path, durable=True)
            try:
                log.write(line)
            finally:
                log.close()
        except OSError as error:
            raise RunFolderError(f"{self.path} cannot be written ({error.strerror}); make room, then go on") from error


def boot_id(path: Path = Path("/proc/sys/kernel/random/boot_id")) -> str:
    """Another one after each start of the machine; empty where the kernel does not tell."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
