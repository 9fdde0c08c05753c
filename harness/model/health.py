"""The two-sided health score: how soon a probe goes red when it should, and how often it does when it should not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["TESTS", "Health", "Looked", "ProbeHealth", "Served", "Span", "health_of"]

TESTS = ("hangs", "is dead", "answers wrongly")


@dataclass(frozen=True)
class Looked:
    """One look of a probe that is over."""

    at_s: float  # when it began
    end_s: float  # when it was known what it saw: a look at what hangs takes as long as its limit
    green: bool


@dataclass(frozen=True)
class Span:
    """A stretch of time in which something was the case; `skipped`: why it never was."""

    what: str  # busy, or one of hangs, is dead, answers wrongly
    begin_s: float = 0.0
    end_s: float = 0.0
    skipped: str = ""


@dataclass(frozen=True)
class ProbeHealth:
    """What one probe is worth. Times in seconds, shares 0 to 1; None: not tested."""

    probe: str
    detected_s: dict[str, float | None]  # test -> after how long it was known to be red; None: never while it lasted
    lasted_s: dict[str, float]  # test -> for how long it could have been
    false_red: float | None  # share of its looks that were red while the service was merely busy
    looks_busy: int
    score: (
        float | None
    )  # Youden's J: sensitivity + specificity - 1; 1 is perfect, 0 tells nothing. Of all tests, or None
    why_none: str
    partial_score: float | None = None  # the same of the tests that were made, when some but not all were

    @property
    def blind_to(self) -> tuple[str, ...]:
        """Tests through all of which it stayed green."""
        return tuple(test for test in TESTS if test in self.lasted_s and self.detected_s[test] is None)

    @property
    def made(self) -> tuple[str, ...]:
        """The tests that were made."""
        return tuple(test for test in TESTS if test in self.lasted_s)

    @property
    def specificity(self) -> float | None:
        """Share of its looks that were green while the service was merely busy."""
        return None if self.false_red is None else 1 - self.false_red


@dataclass(frozen=True)
class Served:
    """What became of the requests that made a service busy."""

    asked: int = 0
    under_way: int = 0  # of those, when the load was ended
    served: int = 0  # answered with 200
    first_refusal: str = ""  # what the first that was over without a 200 said; empty: there was none

    @property
    def share(self) -> float | None:
        """Served ones of those that were over, 0 to 1; None: none was."""
        over = self.asked - self.under_way
        return self.served / over if over else None


@dataclass(frozen=True)
class Health:
    """All probes, and what could not be tested."""

    target: str
    probes: tuple[ProbeHealth, ...]
    not_tested: tuple[str, ...]
    load: Served | None = None  # None: not counted here
    cut_off: str = ""  # why it ended before its time; empty: it did not
    still_down: str = ""  # that the target was not seen to be well again, in words; empty: it was

    @property
    def measured(self) -> bool:
        """Whether anything of what it is for was."""
        return any(one.lasted_s or one.looks_busy for one in self.probes)


def health_of(probe: str, looks: Sequence[Looked], spans: Sequence[Span]) -> ProbeHealth:
    """Sensitivity is the mean share of each fault's time that was left when the probe was known to be red.

    The score: Youden, Index for rating diagnostic tests, Cancer 3 (1950).
    """
    detected: dict[str, float | None] = {}
    lasted: dict[str, float] = {}
    busy: list[Looked] = []
    for span in spans:
        if span.skipped:
            continue
        if span.what == "busy":
            busy += [one for one in looks if span.begin_s <= one.at_s < span.end_s]
            continue
        # By its end: one that began just before counts, and one that hangs says so only when it gives up.
        within = [one for one in looks if span.begin_s <= one.end_s < span.end_s]
        if not within:
            continue
        lasted[span.what] = span.end_s - span.begin_s
        detected[span.what] = min((one.end_s - span.begin_s for one in within if not one.green), default=None)
    false_red = sum(not one.green for one in busy) / len(busy) if busy else None
    missing = [test for test in TESTS if test not in lasted] + (["busy"] if false_red is None else [])
    j = None
    if lasted and false_red is not None:
        left = [1 - (lasted[test] if seen is None else seen) / lasted[test] for test, seen in detected.items()]
        j = sum(left) / len(left) - false_red
    return ProbeHealth(
        probe,
        detected,
        lasted,
        false_red,
        len(busy),
        score=None if missing else j,
        partial_score=j if missing else None,
        why_none=f"not tested: {', '.join(missing)}" * bool(missing),
    )
