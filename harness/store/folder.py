"""The files of a run's folder."""

from __future__ import annotations

import dataclasses
import gzip
import json
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar

import pydantic

from harness.model.errors import RunFolderError
from harness.model.event import Event
from harness.model.faults import FAULTS
from harness.model.health import Health
from harness.model.history import Header, History
from harness.model.plan import Arrivals, Plan
from harness.record.append import being_written, read_lines

__all__ = ["RunFolder"]

T = TypeVar("T")
_ADAPTERS: dict[type, pydantic.TypeAdapter[Any]] = {}


class RunFolder:
    """Where everything about one run lies. Files that are rewritten are replaced whole; the others only grow."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def plan(self) -> Path:
        return self.path / "plan.json"

    @property
    def header(self) -> Path:
        return self.path / "header.json"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def packed_events(self) -> Path:
        """The same, after `pack`."""
        return self.path / "events.jsonl.gz"

    @property
    def undo(self) -> Path:
        return self.path / "undo.jsonl"

    @property
    def request_log(self) -> Path:
        """One line per sending and ending, while the run lasts."""
        return self.path / "requests.log"

    @property
    def arrivals(self) -> Path:
        return self.path / "arrivals.json"

    @property
    def requests(self) -> Path:
        """The same as Parquet, after the run."""
        return self.path / "requests.parquet"

    @property
    def health(self) -> Path:
        """What the target's probes are worth, of a run of `harness health`."""
        return self.path / "health.json"

    @property
    def stack(self) -> Path:
        """Logs and configuration of the target."""
        return self.path / "stack"

    def create(self) -> None:
        """Make the folder. Raises RunFolderError when it holds another run already."""
        if self.plan.exists():
            raise RunFolderError(f"{self.path} already holds a run: choose another --out")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"{self.path} cannot be made ({error.strerror}): choose another --out") from error

    def write_plan(self, plan: Plan, header: Header, lanes: Mapping[str, Arrivals]) -> None:
        """Write what is known before anything is touched."""
        self.write("header.json", _dump(dataclasses.asdict(header)))
        self.write(
            "arrivals.json",
            json.dumps({lane: vars(drawn) for lane, drawn in lanes.items()}, separators=(",", ":")),
        )
        self.write("plan.json", _dump(dataclasses.asdict(plan)))

    def write_health(self, health: Health) -> None:
        """Keep the score with the run that it is of."""
        self.write(self.health.name, _dump(dataclasses.asdict(health)))

    def pack(self) -> None:
        """Compress the events of a run that is over and judged: a twentieth is left, and it is read as before."""
        if not self.events.exists():
            return
        part = self.path / ".events.part"
        with self.events.open("rb") as file, gzip.open(part, "wb") as packed:
            shutil.copyfileobj(file, packed)
        os.replace(part, self.packed_events)
        self.events.unlink()

    def write(self, name: str, text: str) -> None:
        """Replace a file as a whole, so that a reader sees the old one or the new one."""
        part = self.path / f".{name}.part"
        part.write_text(text, encoding="utf-8")
        os.replace(part, self.path / name)

    def read(self) -> History:
        """The whole run; compacts the requests first if that has not been done. Raises RunFolderError."""
        # Here: Parquet takes 0.3 s to import, which the start of a run should not wait for.
        from harness.store.requests import Begun, RequestFiles, compact, read_requests

        plan = self.read_plan()
        header = self.read_header()
        if being_written(self.events):  # compacting would take the log away from under the load generator
            raise RunFolderError(f"{self.path} is a run that is still going on: wait for its end, or 'harness stop' it")
        events, damage = self._read_events()
        begins = [event.fields["begin_s"] for event in events if event.kind == "schedule_begin"]
        begun = Begun(plan.tasks, round(begins[0] * 1e6) if begins else None)
        try:
            damage += compact(RequestFiles(self.request_log, self.arrivals, self.requests), begun)
            requests = read_requests(self.requests)
        except (ArithmeticError, LookupError, OSError, TypeError, ValueError) as error:
            raise RunFolderError(
                f"{self.requests} cannot be read ({error}): the recorded requests are damaged"
            ) from error
        complete = any(event.kind == "run_end" and not event.fields.get("interrupted") for event in events)
        return History(header, plan, events, requests, complete, tuple(damage), health=self.read_health())

    def read_header(self) -> Header:
        """What was written before anything happened. Raises RunFolderError."""
        return _load(self.header, Header)

    def read_plan(self) -> Plan:
        """Raises RunFolderError when there is none or it is damaged."""
        if not self.path.is_dir():
            raise RunFolderError(f"{self.path} is not a run's folder: there is no such folder")
        raw = _read_json(self.plan)
        try:
            faults = tuple(
                _adapter(FAULTS[item["kind"]]).validate_python(item) for item in raw["scenario"].pop("faults")
            )
            plan = _adapter(Plan).validate_python(raw)
        except (KeyError, TypeError, AttributeError, pydantic.ValidationError) as error:
            raise RunFolderError(f"{self.plan} is damaged or of another version: run the scenario again") from error
        return dataclasses.replace(plan, scenario=dataclasses.replace(plan.scenario, faults=faults))

    def read_health(self) -> Health | None:
        """None: the run has no such file. Raises RunFolderError when it is damaged."""
        if not self.health.exists():
            return None
        try:
            found = _adapter(Health).validate_json(self.health.read_bytes())
            json.dumps(dataclasses.asdict(found), allow_nan=False)
            if any(one.detected_s.keys() != one.lasted_s.keys() for one in found.probes):
                raise ValueError("a test of a probe has a time without the other")
        except (OSError, ValueError) as error:
            raise RunFolderError(
                f"{self.health} is damaged or of another version: remove it to have the run without its health score, "
                "or measure it again with 'harness health'"
            ) from error
        return found

    def _read_events(self) -> tuple[list[Event], list[str]]:
        path = self.events if self.events.exists() else self.packed_events
        if not path.exists():
            raise RunFolderError(f"{self.events} is missing: the run ended before anything happened")
        events, damage = [], []
        for line, value in read_lines(path):
            if _is_event(value):
                fields = {key: field for key, field in value.items() if key not in ("at_s", "kind")}
                events.append(Event(float(value["at_s"]), value["kind"], fields))
            else:
                damage.append(f"{self.events.name}:{line} is not a whole record and was left out")
        return events, damage


_FIELDS: Mapping[str, Mapping[str, type | UnionType]] = {
    "schedule_begin": {"begin_s": float | int},
    "fault_begin": {"episode": int, "fault": int, "on": str},
    "fault_proof": {"episode": int, "fault": int, "proven": bool, "evidence": str},
    "fault_end": {"episode": int, "fault": int},
    "fault_skipped": {"episode": int, "reason": str},
    "stopped": {"reason": str},
    "broken": {"reason": str},
    "cleanup_failed": {"errors": list},
}
"""What the judge takes for granted of the events that it reads."""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _is_event(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        return False
    if not (_is_number(value.get("at_s")) and _is_number(value.get("begin_s", 0.0))):
        return False
    if value.get("last_routed_s") is not None and not _is_number(value["last_routed_s"]):
        return False
    return all(isinstance(value.get(name), kind) for name, kind in _FIELDS.get(value["kind"], {}).items())


def _dump(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunFolderError(f"{path.parent} is not a run's folder: {path.name} is missing") from error
    except (OSError, RecursionError, ValueError) as error:
        raise RunFolderError(f"{path} is damaged ({error})") from error


def _load(path: Path, cls: type[Header]) -> Header:
    try:
        return _adapter(cls).validate_python(_read_json(path))
    except pydantic.ValidationError as error:
        raise RunFolderError(f"{path} is damaged or of another version: run the scenario again") from error


def _adapter(kind: type[T]) -> pydantic.TypeAdapter[T]:
    """Made once for each dataclass, as making one takes a hundred times as long as using it."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = pydantic.TypeAdapter(kind)
    return _ADAPTERS[kind]
