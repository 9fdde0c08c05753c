"""A projection as strict JSON in a folder, and back again."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pydantic

from harness.model.errors import RunFolderError
from harness.model.soak_report import SoakReport

__all__ = ["PROJECTION", "read_projection", "to_json", "write_files"]

PROJECTION = "projection.json"
_ADAPTER: pydantic.TypeAdapter[SoakReport] = pydantic.TypeAdapter(SoakReport)


def to_json(report: SoakReport) -> str:
    """The same report gives the same bytes."""
    return json.dumps(_plain(dataclasses.asdict(report)), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read_projection(folder: Path) -> SoakReport:
    """The report that was written into `folder`. Raises RunFolderError."""
    path = folder / PROJECTION
    try:
        return _ADAPTER.validate_python(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise RunFolderError(f"{path} is missing: make it with 'harness soak project SOAK'") from error
    except (OSError, ValueError) as error:  # pydantic's ValidationError is a ValueError
        raise RunFolderError(
            f"{path} is damaged or of another version: run 'harness soak project SOAK' again"
        ) from error


def write_files(folder: Path, files: Mapping[str, str], option: str = "--store") -> None:
    """Replace each file as a whole. Raises RunFolderError when there is no room; `option` chooses another place."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            part = folder / f".{name}.part"
            part.write_text(text, encoding="utf-8")
            os.replace(part, folder / name)
    except OSError as error:
        for name in files:
            with suppress(OSError):
                (folder / f".{name}.part").unlink(missing_ok=True)
        raise RunFolderError(
            f"{folder} cannot be written ({error.strerror}): make room, or choose another {option}"
        ) from error


def _plain(value: Any) -> Any:
    """NaN is no number in JSON: it becomes null."""
    if isinstance(value, float) and value != value:  # noqa: PLR0124  the definition of NaN
        return None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
