"""The manifest of a model folder: size and sha256 of every other file. No torch needed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["MANIFEST", "differences", "file_sha256", "manifest_of", "read_manifest"]

MANIFEST = "manifest.json"
# What a loader would pick up by its name; other files (a backup, say) are nobody's business.
_LOADED = frozenset({".json", ".safetensors", ".bin", ".jinja", ".txt", ".model"})


def file_sha256(path: Path) -> str:
    """Hash of a file's bytes, as hex; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def manifest_of(folder: Path, recipe_sha256: str) -> dict[str, Any]:
    """Describe every file of the folder except a manifest."""
    files = {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": file_sha256(path),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }
    return {"recipe_sha256": recipe_sha256, "files": files}


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The folder's manifest; None if there is none; ValueError if it is not one."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        manifest = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{MANIFEST} is not valid JSON ({error})") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise ValueError(f"{MANIFEST} has no files")
    return manifest


def differences(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    """Every way in which the folder is not what the manifest says, one phrase each."""
    found = []
    for name, expected in manifest["files"].items():
        path = folder / name
        try:
            size_bytes = path.stat().st_size
            if size_bytes != expected["bytes"]:
                found.append(f"{name} has {size_bytes} bytes, not {expected['bytes']}")
            elif file_sha256(path) != expected["sha256"]:
                found.append(f"{name} sha256 differs")
        except OSError as error:
            found.append(f"{name} cannot be read ({error.strerror})")
    present = (path for path in sorted(folder.iterdir()) if path.suffix in _LOADED)
    extra = [path.name for path in present if path.name not in {MANIFEST, *manifest["files"]}]
    return [*found, *(f"{name} is not in the manifest" for name in extra)]
