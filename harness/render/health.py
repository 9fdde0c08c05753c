"""The health score as text: a row a probe."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

from harness.model.health import TESTS, Health, ProbeHealth
from harness.render.markdown import escaped, table
from harness.render.numbers import percent, seconds

__all__ = ["health_json", "health_lines", "health_markdown"]

_HEADER = ("probe", *(f"red after, when it {test}" for test in TESTS), "red while merely busy", "score")


def health_lines(health: Health) -> Iterator[str]:
    """For a terminal."""
    yield f"health of {health.target}"
    for one in health.probes:
        red = ", ".join(f"{test}: {_red(one, test)}" for test in TESTS)
        yield f"  {one.probe:18} red when it {red}; while busy: {_busy(one)}; score {_score(one)}"
    yield from (f"  not tested  {reason}" for reason in health.not_tested)


def health_markdown(health: Health) -> str:
    """A section for a report."""
    rows = [(one.probe, *(_red(one, test) for test in TESTS), _busy(one), _score(one)) for one in health.probes]
    untested = [f"Not tested: {escaped('; '.join(health.not_tested))}."] if health.not_tested else []
    score = "The score is Youden's J: 1 is perfect, 0 tells nothing, below 0 does harm."
    return "\n\n".join([f"## Health of {escaped(health.target)}", table(_HEADER, rows), score, *untested]) + "\n"


def health_json(health: Health) -> str:
    """Everything, as data."""
    return json.dumps(dataclasses.asdict(health), indent=2) + "\n"


def _red(one: ProbeHealth, test: str) -> str:
    if test not in one.lasted_s:
        return "not tested"
    seen = one.detected_s[test]
    return f"never in {seconds(one.lasted_s[test])}" if seen is None else f"after {seconds(seen)}"


def _busy(one: ProbeHealth) -> str:
    return "not tested" if one.false_red is None else f"{percent(one.false_red)} of {one.looks_busy} looks"


def _score(one: ProbeHealth) -> str:
    return "–" if one.score is None else f"{one.score:.2f}"
