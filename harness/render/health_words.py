"""What a probe is worth, in words and as a section of the report. A cell that speaks against a probe says so by ✕."""

from __future__ import annotations

from harness.model.health import TESTS, Health, ProbeHealth, Served
from harness.model.verdict import Verdict
from harness.render import pages
from harness.render.numbers import NOTHING, count, percent, seconds

__all__ = ["HEALTH_COLUMNS", "SCORE", "blind_words", "health_cells", "health_section", "load_words", "number_of",
           "red_after", "red_busy", "score_means", "score_of"]  # fmt: skip

HEALTH_COLUMNS = ("probe", *(f"red after, when it {test}" for test in TESTS), "red while merely busy", "score")
SCORE = (
    "The score is Youden's J: 1 is perfect, 0 tells nothing, below 0 does harm; it is the mean share of each "
    "fault's time that was left once the probe was red, less its share of false alarms while the service was busy."
)
_BAD = "✕ "


def health_section(verdict: Verdict) -> str:
    """A section of the page, everything escaped; empty for a run that measured no probes."""
    health = verdict.health
    if health is None:
        return ""
    values = {
        "health": health,
        "score_means": score_means(health),
        "columns": HEALTH_COLUMNS,
        "rows": [
            (one, number_of(one), blind_words(one), health_cells(one, health.load)[1:-1]) for one in health.probes
        ],
        "load_words": None if health.load is None else load_words(health.load),
        "bad": _BAD,
    }
    return pages.fill("health.html.j2", values)


def health_cells(one: ProbeHealth, load: Served | None) -> tuple[str, ...]:
    """A probe's row under HEALTH_COLUMNS; without a score, the last cell says why."""
    red = (f"{_BAD * (test in one.blind_to)}{red_after(one, test)}" for test in TESTS)
    score = f"{score_of(one)} ({one.why_none})" if one.score is None and one.why_none else score_of(one)
    return one.probe, *red, f"{_BAD * bool(one.false_red)}{red_busy(one, load)}", score


def blind_words(one: ProbeHealth) -> str:
    """To what it is blind: it never went red while that lasted; empty: to nothing that was tested."""
    return f"to a service that {' or '.join(one.blind_to)}" if one.blind_to else ""


def red_after(one: ProbeHealth, test: str) -> str:
    """How long it stayed green."""
    if test not in one.lasted_s:
        return "not tested"
    seen = one.detected_s[test]
    return f"never in {seconds(one.lasted_s[test])}" if seen is None else f"after {seconds(seen)}"


def red_busy(one: ProbeHealth, load: Served | None) -> str:
    """Its share of false alarms, and of how many looks."""
    if one.false_red is not None:
        return f"{percent(one.false_red)} of {count(one.looks_busy)} looks"
    return f"not tested ({load_words(load)})" if load is not None and not load.served else "not tested"


def load_words(load: Served) -> str:
    """How much of it was answered."""
    if not load.served:
        said = f"the first said: {load.first_refusal}" if load.first_refusal else "none said anything before it ended"
        return f"0 of {count(load.asked)} requests answered; {said}"
    refused = f"; the first of the others said: {load.first_refusal}" if load.first_refusal else ""
    over = f"{percent(load.share)} of {count(load.asked - load.under_way)} requests answered"
    return f"{over}, {count(load.under_way)} more under way when it ended{refused}"


def number_of(one: ProbeHealth) -> tuple[str, str]:
    """The one number, and what it is if it is not the score of all tests: a part is never passed off as the whole."""
    if one.score is not None:
        return f"{one.score:.2f}", ""
    if one.partial_score is not None:
        return f"{one.partial_score:.2f}", f"partial score of: {', '.join(one.made)}"
    if one.specificity is not None:
        return percent(one.specificity), "specificity alone"
    return NOTHING, "no score"


def score_of(one: ProbeHealth) -> str:
    """The same as one text."""
    number, what = number_of(one)
    return f"{number}, {what}" if what and number != NOTHING else number


def score_means(health: Health) -> str:
    """In sentences, as far as these numbers need them."""
    said = [SCORE]
    if any(one.partial_score is not None for one in health.probes):
        said.append("A partial score is of the tests that it names, and says nothing of the others.")
    if any(one.specificity is not None and not one.made for one in health.probes):
        said.append("Specificity is the share of looks that were green while it was busy; who is never red has 100 %.")
    return " ".join(said)
