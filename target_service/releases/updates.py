"""Is there something newer than what is served? Compared by content, with a local folder: nothing is fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from target_service.model.manifest import MANIFEST, manifest_of, read_manifest
from target_service.releases.store import CURRENT, ReleaseError, Store

__all__ = ["changed_files"]

# Says which version it is, not what the model is.
_ABOUT = frozenset({MANIFEST})


def changed_files(store: Store, source: Path, ref: str | None = None) -> list[str]:
    """Names of files that differ between `current` and a source; empty: up to date.

    A source is a model folder, or another store: then its release `ref`, or what its own `current` leads to.
    """
    tag = store.linked(CURRENT)
    if tag is None:
        raise ReleaseError(f"{store.root} has no {CURRENT}; `publish` and `switch` first.")
    here, there = _files(store.folder(tag)), _files(_folder_of(source, ref))
    return sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))


def _folder_of(source: Path, ref: str | None) -> Path:
    other = Store(source)
    if ref is not None:
        return other.folder(ref)
    return source / CURRENT if other.linked(CURRENT) is not None else source


def _files(folder: Path) -> dict[str, Any]:
    """File -> size and sha256, as the manifest says or, without one, as they are."""
    if not folder.is_dir():
        raise ReleaseError(f"{folder} is not a folder; name a model folder, or a store and one of its tags.")
    try:
        manifest = read_manifest(folder) or manifest_of(folder, "")
    except (ValueError, OSError) as error:
        raise ReleaseError(f"{folder}: {error}") from error
    return {name: facts for name, facts in manifest["files"].items() if name not in _ABOUT}
