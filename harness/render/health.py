"""The health score as text: a row a probe."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

from harness.model.health import TESTS, Health, ProbeHealth, Served
from harness.render.markdown import escaped, table
from harness.render.numbers import count, percent, seconds

__all__ = ["health_json", "health_lines", "health_markdown"]

_HEADER = ("probe", *(f"red after, when it {test}" for test in TESTS), "red while merely busy", "score")


def health_lines(health: Health) -> Iterator[str]:
    """For a terminal."""
    yield f"health of {health.target}"
    if health.cut_off:
        yield f"  cut off     {health.cut_off}"
    for one in health.probes:
        red = ", ".join(f"{test}: {_red(one, test)}" for test in TESTS)
        yield f"  {one.probe:18} red when it {red}; while busy: {_busy(one, health.load)}; score {_score(one)}"
    if health.load is not None:
        yield f"  load        {_answered(health.load)}"
    yield from (f"  not tested  {reason}" for reason in health.not_tested)


def health_markdown(health: Health) -> str:
    """A section for a report."""
    load = health.load
    rows = [(one.probe, *(_red(one, test) for test in TESTS), _busy(one, load), _score(one)) for one in health.probes]
    cut_off = [f"**Cut off**: {escaped(health.cut_off)}."] if health.cut_off else []
    answered = [f"Load: {escaped(_answered(load))}."] if load is not None else []
    untested = [f"Not tested: {escaped('; '.join(health.not_tested))}."] if health.not_tested else []
    score = "The score is Youden's J: 1 is perfect, 0 tells nothing, below 0 does harm."
    parts = [f"## Health of {escaped(health.target)}", *cut_off, table(_HEADER, rows), *answered, score, *untested]
    return "\n\n".join(parts) + "\n"


def health_json(health: Health) -> str:
    """Everything, as data."""
    return json.dumps(dataclasses.asdict(health), indent=2) + "\n"


def _red(one: ProbeHealth, test: str) -> str:
    if test not in one.lasted_s:
        return "not tested"
    seen = one.detected_s[test]
    return f"never in {seconds(one.lasted_s[test])}" if seen is None else f"after {seconds(seen)}"


def _busy(one: ProbeHealth, load: Served | None) -> str:
    if one.false_red is not None:
        return f"{percent(one.false_red)} of {one.looks_busy} looks"
    return f"not tested ({_answered(load)})" if load is not None and not load.served else "not tested"


def _answered(load: Served) -> str:
    """How much of it was."""
    if not load.served:
        said = f"the first said: {load.first_refusal}" if load.first_refusal else "none said anything before it ended"
        return f"0 of {count(load.asked)} requests answered; {said}"
    refused = f"; the first of the others said: {load.first_refusal}" if load.first_refusal else ""
    over = f"{percent(load.share)} of {count(load.asked - load.under_way)} requests answered"
    return f"{over}, {count(load.under_way)} more under way when it ended{refused}"


def _score(one: ProbeHealth) -> str:
    return "–" if one.score is None else f"{one.score:.2f}"
