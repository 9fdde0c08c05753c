"""Is the model what it was published as? The detectors, at the start and again while serving."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from target_service.model.golden import GOLDEN, Golden, read_golden
from target_service.model.loading import BadModelError, Loaded, non_finite
from target_service.model.manifest import MANIFEST, differences, read_manifest

__all__ = ["CheckedFiles", "PeriodicCheck", "Verification", "check_files", "check_parameters", "recheck"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CheckedFiles:
    """What the folder said of itself when its files were as its manifest says."""

    manifest: dict[str, Any] | None
    golden: Golden | None


def check_files(folder: Path) -> CheckedFiles:
    """Hash every file of the manifest; raises BadModelError."""
    try:
        manifest = read_manifest(folder)
        golden = None
        if manifest is not None:
            found = differences(folder, manifest)
            if found:
                raise BadModelError(f"manifest: {'; '.join(found)}")
        golden = read_golden(folder / GOLDEN)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise BadModelError(f"manifest: {error}") from error
    if manifest is None and golden is not None:
        raise BadModelError(f"manifest: {MANIFEST} is missing beside {GOLDEN}")
    return CheckedFiles(manifest, golden)


def check_parameters(loaded: Loaded) -> None:
    """Nothing missing, nothing made up, no NaN; raises BadModelError."""
    if loaded.complaints:
        raise BadModelError(f"loading report: {'; '.join(loaded.complaints)}")
    broken = non_finite(loaded.decoder.network)
    if broken:
        raise BadModelError(f"finite check: {broken[0]} has NaN or infinite values")


def recheck(folder: Path, at_start: CheckedFiles, loaded: Loaded) -> None:
    """The checks of the start once more; raises BadModelError."""
    if check_files(folder).manifest != at_start.manifest:
        raise BadModelError(f"manifest: {MANIFEST} is not the one of the start")
    check_parameters(loaded)


class Verification:
    """When the model was last found good, and what is wrong with it since."""

    def __init__(self) -> None:
        self.last_good_s: float | None = None
        self.problem: str | None = None

    def good(self, began_s: float) -> None:
        """A check that began then found nothing: it vouches for that time, not for its end."""
        self.last_good_s, self.problem = began_s, None

    def bad(self, problem: str) -> None:
        """A check found something; `problem` begins with the detector's name."""
        self.problem = problem

    def age_s(self, now_s: float) -> float | None:
        """Time since the model was known to be good; None if it never was."""
        return None if self.last_good_s is None else now_s - self.last_good_s


class PeriodicCheck:
    """Checks again and again, in a thread, so that requests go on meanwhile."""

    def __init__(self, check: Callable[[], None], verification: Verification, on_bad: Callable[[str], None]) -> None:
        self._check = check
        self._verification = verification
        self._on_bad = on_bad

    async def run(self, every_s: float) -> None:
        """Check until cancelled; `every_s` from one check's end to the next one's begin."""
        while True:
            await asyncio.sleep(every_s)
            await self.once(time.monotonic())

    async def once(self, now_s: float) -> None:
        """Check and take note; `on_bad` hears of a problem when it is new."""
        before = self._verification.problem
        problem = await asyncio.to_thread(self._look)
        if problem is None:
            self._verification.good(now_s)
            if before is not None:
                log.warning("the model is good again")
            return
        self._verification.bad(problem)
        if problem != before:
            self._on_bad(problem)

    def _look(self) -> str | None:
        try:
            self._check()
        except BadModelError as error:
            return str(error)
        except Exception as error:
            # A check that cannot look has not found the model good, and must not end for ever.
            log.exception("the periodic check failed")
            return f"check: {error!r}"
        return None
