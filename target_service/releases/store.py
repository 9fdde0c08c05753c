"""Where releases live. A live folder is never written to: a link is switched.

    ROOT/releases/TAG/     a whole model, files 0444, folders 0555; never changed once it has its name
    ROOT/current           link to the release that is served
    ROOT/previous          link to the one before it, kept for `rollback`
    ROOT/archive/TAG/      older ones

Every step is a rename or is followed by one, so wherever a process is stopped, `current` leads to a whole release, and
the same command once more finishes the work. Root is not held by the file modes; the manifest is what finds a change.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from target_service.model.manifest import MANIFEST, differences, manifest_of, read_manifest
from target_service.model.publish import write_json

__all__ = ["CURRENT", "PREVIOUS", "RELEASES", "STAGING", "ReleaseError", "Step", "Store"]

CURRENT, PREVIOUS = "current", "previous"
RELEASES, ARCHIVE = "releases", "archive"
STAGING = ".staging."
TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
Step = Callable[[str], None]


class ReleaseError(Exception):
    """What was asked for cannot be done; nothing that is served was changed. The message names the remedy."""


def _no_step(_: str) -> None:
    """Nobody follows the steps."""


@dataclass(frozen=True)
class Store:
    """A folder of releases; `step` is called after each step that is on disk, for tests that stop there."""

    root: Path
    step: Step = _no_step

    def folder(self, tag: str) -> Path:
        """Where a release lies, or would lie; ReleaseError if the tag cannot be one."""
        if not TAG.fullmatch(tag):
            raise ReleaseError(f"{tag!r} is no tag: letters, digits, '.', '_' and '-', as in v1.0.0-qwen0.5b")
        return self.root / RELEASES / tag

    def tags(self) -> list[str]:
        """The releases that can be switched to, by name."""
        releases = self.root / RELEASES
        return sorted(p.name for p in releases.iterdir() if TAG.fullmatch(p.name)) if releases.is_dir() else []

    def archived(self) -> list[str]:
        """The releases that were put away, by name."""
        archive = self.root / ARCHIVE
        return sorted(path.name for path in archive.iterdir()) if archive.is_dir() else []

    def linked(self, link: str) -> str | None:
        """The tag to which a link of the store leads; None: there is no link."""
        path = self.root / link
        return Path(os.readlink(path)).name if path.is_symlink() else None

    def publish(self, source: Path, tag: str) -> Path:
        """Copy a model folder into a new release, verify the copy, and only then give it its name."""
        folder = self.folder(tag)
        if folder.exists() or (self.root / ARCHIVE / tag).exists():
            raise ReleaseError(f"{tag} was published before and is never overwritten; choose another tag.")
        _check_source(source)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder.parent)
        made = folder.parent / f"{STAGING}{tag}"
        shutil.copytree(source, made, copy_function=shutil.copyfile)
        self.step("copied")
        before = read_manifest(source)
        manifest = manifest_of(made, str(before.get("recipe_sha256", "")) if before else "")
        write_json(made / MANIFEST, {"version": tag, **manifest})
        self.step("described")
        # What the source's own manifest says of each file must hold for the copy: a copy can be damaged too.
        wrong = differences(made, before) if before else []
        if wrong:
            raise ReleaseError(f"the copy of {source} is not what its {MANIFEST} says: {'; '.join(wrong)}")
        _protect(made)
        _flush(made)
        self.step("protected")
        os.rename(made, folder)
        _flush(folder.parent, deep=False)
        self.step("published")
        return folder

    def verify(self, tag: str) -> None:
        """ReleaseError unless the release is whole, as described, and of that version."""
        folder = self.folder(tag)
        if not folder.is_dir():
            put_away = f"; it lies in {ARCHIVE}" if tag in self.archived() else ""
            raise ReleaseError(f"there is no release {tag}{put_away}; there are: {', '.join(self.tags()) or 'none'}")
        try:
            manifest = read_manifest(folder)
            wrong = [f"{MANIFEST} is missing"] if manifest is None else differences(folder, manifest)
        except (ValueError, KeyError, TypeError) as error:
            raise ReleaseError(f"release {tag} is damaged: {error}; publish it again under another tag") from error
        if manifest is not None and manifest.get("version") != tag:
            wrong.append(f"{MANIFEST} is of version {manifest.get('version')}")
        if wrong:
            raise ReleaseError(f"release {tag} is damaged: {'; '.join(wrong)}; publish it again under another tag")

    def switch(self, tag: str, link: str = CURRENT) -> None:
        """Verify a release and let the link lead to it, in one rename; `current` is kept as `previous` first."""
        self.verify(tag)
        now = self.linked(link)
        if now == tag:
            return
        if link == CURRENT and now is not None:
            self.point(PREVIOUS, now)
        self.point(link, tag)

    def rollback(self) -> str:
        """Switch back to `previous`, which becomes what `current` was; returns the tag that is served now."""
        now, before = self.linked(CURRENT), self.linked(PREVIOUS)
        if before is None or before == now:
            raise ReleaseError(f"there is nothing to roll back to; `switch` to one of: {', '.join(self.tags())}")
        self.switch(before)
        return before

    def archive(self) -> list[str]:
        """Put away every release that no link leads to; returns their tags. Whoever serves one must have restarted.

        ReleaseError when `previous` leads to nothing else than `current`, as after a switch that was cut off: then one
        of them may be the only one to roll back to.
        """
        if self.linked(PREVIOUS) in (None, self.linked(CURRENT)):
            raise ReleaseError(f"{PREVIOUS} leads to no other release than {CURRENT}; finish with `switch TAG` first.")
        used = {self.linked(path.name) for path in self.root.iterdir() if path.is_symlink()}
        away = [tag for tag in self.tags() if tag not in used]
        for tag in away:
            folder = self.folder(tag)
            (self.root / ARCHIVE).mkdir(exist_ok=True)
            # A folder that gets another parent must be writable for its owner while it moves.
            folder.chmod(0o755)
            os.rename(folder, self.root / ARCHIVE / tag)
            (self.root / ARCHIVE / tag).chmod(0o555)
            self.step(f"archived {tag}")
        return away

    def point(self, link: str, tag: str | None) -> None:
        """Let a link lead to a release, or remove it with None; readers see the old link or the new one, never none."""
        if tag is None:
            (self.root / link).unlink(missing_ok=True)
        else:
            beside = self.root / f".{link}.new"
            beside.unlink(missing_ok=True)
            beside.symlink_to(Path(RELEASES) / tag)
            os.replace(beside, self.root / link)
        _flush(self.root, deep=False)
        self.step(f"{link} leads to {tag}")


def _check_source(source: Path) -> None:
    if not source.is_dir() or not any(source.iterdir()):
        raise ReleaseError(f"{source} is not a model folder; name one that holds config.json and *.safetensors.")
    try:
        manifest = read_manifest(source)
    except ValueError as error:
        raise ReleaseError(f"{source}: {error}; build or download it again.") from error
    wrong = differences(source, manifest) if manifest else []
    if wrong:
        raise ReleaseError(f"{source} is not what its {MANIFEST} says: {'; '.join(wrong)}; build or download it again.")


def _sweep(releases: Path) -> None:
    """What a publisher that was stopped left behind; it never had a name that anybody serves."""
    for left in releases.glob(f"{STAGING}*"):
        for path in (left, *left.rglob("*")):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)
        shutil.rmtree(left)


def _protect(folder: Path) -> None:
    for path in folder.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    folder.chmod(0o555)


def _flush(folder: Path, *, deep: bool = True) -> None:
    """A name must not survive a power cut that its content does not."""
    for path in [*folder.rglob("*"), folder] if deep else [folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
