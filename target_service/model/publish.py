"""Write the model folder so that it exists whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from target_service.model.manifest import MANIFEST, differences, manifest_of, read_manifest

__all__ = ["NotAModelFolderError", "is_up_to_date", "publish", "write_json"]


class NotAModelFolderError(Exception):
    """The destination holds something this program did not make, so it is left alone."""


def write_json(path: Path, data: Any) -> None:
    """Write JSON through a temporary file, so that readers never see half of it."""
    beside = path.with_name(path.name + ".partial")
    beside.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", "utf-8")
    beside.replace(path)


def is_up_to_date(folder: Path, recipe_sha256: str) -> bool:
    """Whether the folder is a whole model of this recipe; NotAModelFolderError if it is none of ours."""
    if not folder.exists():
        return False
    try:
        manifest = read_manifest(folder) if folder.is_dir() else None
    except ValueError:
        manifest = None
    if manifest is None or "recipe_sha256" not in manifest:
        if folder.is_dir() and not any(folder.iterdir()):
            return False
        raise NotAModelFolderError(f"{folder} exists and has no {MANIFEST} of this program; remove it or name another.")
    return manifest["recipe_sha256"] == recipe_sha256 and not differences(folder, manifest)


def publish(folder: Path, recipe_sha256: str, fill: Callable[[Path], None]) -> None:
    """Let `fill` write into a temporary sibling, add the manifest, then rename it to `folder`.

    Whatever `fill` raises leaves an existing folder as it was.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        fill(made)
        write_json(made / MANIFEST, manifest_of(made, recipe_sha256))
        # safetensors writes 0600, which another user's server reports as "no such file".
        for path in made.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        made.chmod(0o755)
        _swap(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _swap(made: Path, folder: Path) -> None:
    # rename() cannot replace a folder that has files: the old one steps aside for an instant.
    if folder.exists() and any(folder.iterdir()):
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
        os.rename(folder, aside)
        os.rename(made, folder)
        shutil.rmtree(aside)
    else:
        os.rename(made, folder)
