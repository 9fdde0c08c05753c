"""Colours by name. A chart is drawn in stand-ins; in the page each becomes a CSS variable, light or dark."""

from __future__ import annotations

from harness.model.request import Outcome

__all__ = ["PAINTS", "PATTERNS", "paint"]

# How a colour is told from its neighbour without colour. Patterns are defined once in the page.
PATTERNS: dict[str, str] = {
    Outcome.OK: "solid",
    Outcome.WRONG_ANSWER: "solid",
    Outcome.HTTP_ERROR: "rising",
    Outcome.REFUSED: "falling",
    Outcome.TIMEOUT: "vertical",
    Outcome.DEADLINE_MISSED: "horizontal",
    Outcome.TRUNCATED: "dots",
    Outcome.NOT_SENT: "cross",
    Outcome.IN_FLIGHT_AT_END: "fine-dots",
    "detect": "solid",
    "isolate": "rising",
    "restore": "solid",
    "verify": "falling",
    "unknown": "cross",
}

PAINTS: tuple[str, ...] = (
    *(str(name) for name in PATTERNS),
    *("ink", "muted", "grid", "soft", "card", "fault", "fault-edge", "p50", "p99", "users", "on-dark", "on-light"),
)


def paint(name: str) -> str:
    """The stand-in for a colour: a hex code that no one else uses."""
    return f"#fe{PAINTS.index(name):04x}"
