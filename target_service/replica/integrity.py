"""Is the model what it was published as? The detectors, at the start and again while serving."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from target_service.model.decoding import generate
from target_service.model.fingerprint import (
    FINGERPRINT,
    Fingerprint,
    deviation,
    dtype_of,
    read_fingerprint,
    token_logprobs,
)
from target_service.model.golden import GOLDEN, Golden, GoldenPrompt, read_golden
from target_service.model.loading import BadModelError, Loaded, non_finite
from target_service.model.manifest import MANIFEST, differences, read_manifest
from target_service.protocol.chat import parse_chat

__all__ = ["CheckedFiles", "PeriodicCheck", "Verification", "check_answers", "check_files", "check_fingerprint",
           "check_parameters", "detector_of", "recheck"]  # fmt: skip

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CheckedFiles:
    """What the folder said of itself when its files were as its manifest says."""

    manifest: dict[str, Any] | None
    golden: Golden | None
    fingerprint: Fingerprint | None = None


def detector_of(problem: str) -> str:
    """Which detector found it, as a label: `loading_report` of "loading report: missing keys: ..."."""
    return problem.partition(":")[0].strip().replace(" ", "_").lower()


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
        fingerprint = read_fingerprint(folder / FINGERPRINT)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise BadModelError(f"manifest: {error}") from error
    if manifest is None and golden is not None:
        raise BadModelError(f"manifest: {MANIFEST} is missing beside {GOLDEN}")
    return CheckedFiles(manifest, golden, fingerprint)


def check_parameters(loaded: Loaded) -> None:
    """Nothing missing, nothing made up, no NaN; raises BadModelError."""
    if loaded.complaints:
        raise BadModelError(f"loading report: {'; '.join(loaded.complaints)}")
    broken = non_finite(loaded.decoder.network)
    if broken:
        raise BadModelError(f"finite check: {broken[0]} has NaN or infinite values")


def check_fingerprint(loaded: Loaded, fingerprint: Fingerprint) -> bool:
    """Whether it could be compared: only in its own dtype. Raises BadModelError for another model than the healthy."""
    if dtype_of(loaded.decoder.network) != fingerprint.dtype:
        return False
    for text in fingerprint.texts:
        off = deviation(text.logprobs, token_logprobs(loaded.decoder, text.messages, text.answer))
        if off > fingerprint.tolerance:
            asked = text.messages[-1]["content"]
            raise BadModelError(
                f"fingerprint: log-probabilities of {asked!r} are off by {off:.2g}, more than {fingerprint.tolerance:g}"
            )
    return True


def check_answers(loaded: Loaded, prompts: Iterable[GoldenPrompt]) -> None:
    """Answer golden prompts beside the engine, so that its queue says nothing of the weights; raises BadModelError."""
    for prompt in prompts:
        request = parse_chat(prompt.body(), "")
        got = generate(loaded.decoder, request.messages, request.sampling).text
        if got != prompt.answer:
            asked = prompt.messages[-1]["content"]
            raise BadModelError(f"golden: {asked!r} is answered {got!r}, not {prompt.answer!r}")


def recheck(folder: Path, at_start: CheckedFiles, loaded: Loaded) -> None:
    """The checks of the start once more, of golden prompts one of each task; raises BadModelError."""
    if check_files(folder).manifest != at_start.manifest:
        raise BadModelError(f"manifest: {MANIFEST} is not the one of the start")
    check_parameters(loaded)
    if at_start.fingerprint is not None:
        check_fingerprint(loaded, at_start.fingerprint)
    if at_start.golden is not None:
        check_answers(loaded, {prompt.task: prompt for prompt in at_start.golden.prompts}.values())


class Verification:
    """When the model was last found good, and what is wrong with it since."""

    def __init__(self, failures: Mapping[str, int] | None = None) -> None:
        self.last_good_s: float | None = None
        self.problem: str | None = None
        self.detected_s: float | None = None
        self.failures: Counter[str] = Counter(failures)  # by detector

    def good(self, began_s: float) -> None:
        """A check that began then found nothing: it vouches for that time, not for its end."""
        self.last_good_s, self.problem, self.detected_s = began_s, None, None

    def bad(self, problem: str) -> None:
        """A check found something; `problem` begins with the detector's name. The same thing again is no news."""
        if problem == self.problem:
            return
        if self.problem is None:
            self.detected_s = time.monotonic()
        self.failures[detector_of(problem)] += 1
        self.problem = problem

    def failure(self) -> dict[str, Any]:
        """Which detector fired and when, for /ready; empty while nothing is wrong."""
        if self.problem is None:
            return {}
        return {"detector": detector_of(self.problem), "detected_monotonic_s": self.detected_s}

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
