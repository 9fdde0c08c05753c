"""Snapshots elsewhere: the release that is served, copied into another store and verified there.

What is backed up is a whole store again, so a snapshot is verified, and published back, by the same commands.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from target_service.model.manifest import MANIFEST
from target_service.releases.store import CURRENT, RELEASES, STAGING, ReleaseError, Store

__all__ = ["BackupPace", "back_up", "keep_backing_up"]


@dataclass(frozen=True)
class BackupPace:
    """How often, and whose clock; `rounds` is None without an end."""

    every_s: float
    sleep: Callable[[float], None]
    say: Callable[[str], None]
    rounds: int | None = None


def back_up(store: Store, elsewhere: Store, keep: int) -> str:
    """Copy what `current` leads to, unless a whole copy is there, and keep the `keep` latest; returns what was done.

    Raises ReleaseError when nothing is served, when it is damaged, or when the copy that is there has been damaged:
    then nothing is removed, since an older snapshot may be the last whole one.
    """
    tag = store.linked(CURRENT)
    if tag is None:
        raise ReleaseError(f"{store.root} serves nothing: `switch` to a release first.")
    if elsewhere.root.resolve() == store.root.resolve():
        raise ReleaseError(
            f"{elsewhere.root} is the store itself: name a folder elsewhere, on another disk if you can."
        )
    if tag in elsewhere.tags():
        elsewhere.verify(tag)
        done = f"{tag} was backed up before and is whole"
    else:
        store.verify(tag)
        done = f"backed up {elsewhere.publish(store.folder(tag), tag)}"
    removed = _thin_out(elsewhere, tag, keep)
    return done + (f"; removed {', '.join(removed)}" if removed else "")


def keep_backing_up(store: Store, elsewhere: Store, keep: int, pace: BackupPace) -> None:
    """Again and again. A round that cannot be done is said, and the next one tries anew."""
    done = 0
    while pace.rounds is None or done < pace.rounds:
        try:
            pace.say(back_up(store, elsewhere, keep))
        except (ReleaseError, OSError) as error:
            pace.say(f"NOT backed up: {error}")
        done += 1
        if done != pace.rounds:
            pace.sleep(pace.every_s)


def _thin_out(elsewhere: Store, newest: str, keep: int) -> list[str]:
    """Remove all but the latest snapshots, by the time at which each got its name."""
    others = [tag for tag in elsewhere.tags() if tag != newest]
    others.sort(key=lambda tag: (_made_ns(elsewhere.folder(tag)), tag), reverse=True)
    away = others[keep - 1 :]
    for tag in away:
        # It loses its name first: a removal that is cut off leaves no half of a snapshot that looks like one.
        gone = elsewhere.root / RELEASES / f"{STAGING}{tag}"
        folder = elsewhere.folder(tag)
        folder.chmod(0o755)
        os.rename(folder, gone)
        for path in gone.rglob("*"):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)
        shutil.rmtree(gone)
    return away


def _made_ns(folder: Path) -> int:
    return (folder / MANIFEST).stat().st_mtime_ns
