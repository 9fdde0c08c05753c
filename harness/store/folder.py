"""The files of a run's folder."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic

from harness.model.errors import RunFolderError
from harness.model.event import Event
from harness.model.faults import FAULTS
from harness.model.history import Header, History
from harness.model.plan import Arrivals, Plan
from harness.record.append import read_lines
from harness.store.requests import RequestFiles, compact, read_requests

__all__ = ["RunFolder"]


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
            json.dumps({lane: dataclasses.asdict(drawn) for lane, drawn in lanes.items()}, separators=(",", ":")),
        )
        self.write("plan.json", _dump(dataclasses.asdict(plan)))

    def write(self, name: str, text: str) -> None:
        """Replace a file as a whole, so that a reader sees the old one or the new one."""
        part = self.path / f".{name}.part"
        part.write_text(text, encoding="utf-8")
        os.replace(part, self.path / name)

    def read(self) -> History:
        """The whole run; compacts the requests first if that has not been done. Raises RunFolderError."""
        plan = self.read_plan()
        header = _load(self.header, Header)
        events, damage = self._read_events()
        try:
            damage += compact(RequestFiles(self.request_log, self.arrivals, self.plan, self.requests))
            requests = read_requests(self.requests)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise RunFolderError(
                f"{self.requests} cannot be read ({error}): the recorded requests are damaged"
            ) from error
        complete = any(event.kind == "run_end" and not event.fields.get("interrupted") for event in events)
        return History(header, plan, events, requests, complete, tuple(damage))

    def read_plan(self) -> Plan:
        """Raises RunFolderError when there is none or it is damaged."""
        if not self.path.is_dir():
            raise RunFolderError(f"{self.path} is not a run's folder: there is no such folder")
        raw = _read_json(self.plan)
        try:
            faults = tuple(
                pydantic.TypeAdapter(FAULTS[item["kind"]]).validate_python(item)
                for item in raw["scenario"].pop("faults")
            )
            plan = pydantic.TypeAdapter(Plan).validate_python(raw)
        except (KeyError, TypeError, AttributeError, pydantic.ValidationError) as error:
            raise RunFolderError(f"{self.plan} is damaged or of another version: run the scenario again") from error
        return dataclasses.replace(plan, scenario=dataclasses.replace(plan.scenario, faults=faults))

    def _read_events(self) -> tuple[list[Event], list[str]]:
        if not self.events.exists():
            raise RunFolderError(f"{self.events} is missing: the run ended before anything happened")
        events, damage = [], []
        for line, value in read_lines(self.events):
            if (
                isinstance(value, dict)
                and isinstance(value.get("at_s"), int | float)
                and isinstance(value.get("kind"), str)
            ):
                fields = {key: field for key, field in value.items() if key not in ("at_s", "kind")}
                events.append(Event(float(value["at_s"]), value["kind"], fields))
            else:
                damage.append(f"{self.events.name}:{line} is not a whole record and was left out")
        return events, damage


def _dump(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunFolderError(f"{path.parent} is not a run's folder: {path.name} is missing") from error
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path} is damaged ({error})") from error


def _load(path: Path, cls: type[Header]) -> Header:
    try:
        return pydantic.TypeAdapter(cls).validate_python(_read_json(path))
    except pydantic.ValidationError as error:
        raise RunFolderError(f"{path} is damaged or of another version: run the scenario again") from error
