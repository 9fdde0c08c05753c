"""The health score as text: a row a probe."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

from harness.model.health import TESTS, Health
from harness.render.health_words import load_words, red_after, red_busy, score_of
from harness.render.markdown import escaped, health_blocks

__all__ = ["health_json", "health_lines", "health_markdown"]


def health_lines(health: Health) -> Iterator[str]:
    """For a terminal."""
    yield f"health of {health.target}"
    if health.cut_off:
        yield f"  cut off     {health.cut_off}"
    for one in health.probes:
        red = ", ".join(f"{test}: {red_after(one, test)}" for test in TESTS)
        busy = red_busy(one, health.load)
        score = "" if one.specificity is not None and not one.made else "score "
        yield f"  {one.probe:18} red when it {red}; while busy: {busy}; {score}{score_of(one)}"
    if health.still_down:
        yield f"  beware      {health.still_down}"
    if health.load is not None:
        yield f"  load        {load_words(health.load)}"
    yield from (f"  not tested  {reason}" for reason in health.not_tested)


def health_markdown(health: Health) -> str:
    """A document of its own."""
    return "\n\n".join([f"## Health of {escaped(health.target)}", *health_blocks(health)]) + "\n"


def health_json(health: Health) -> str:
    """Everything, as data."""
    return json.dumps(dataclasses.asdict(health), indent=2) + "\n"
