"""What the bench measures: a goal, fixed before anything is measured, and the figure that is held against it."""

from __future__ import annotations

from dataclasses import dataclass

_HOLDS = {"<=": lambda value, limit: value <= limit, ">=": lambda value, limit: value >= limit}


@dataclass(frozen=True)
class Figure:
    """One measured number. `value` None: it could not be measured, so its goal is not met."""

    name: str
    value: float | None
    unit: str
    goal: str  # e.g. "<= 3 ms"
    met: bool
    spread: str | None = None  # e.g. smallest–largest of the repeats


@dataclass(frozen=True)
class Goal:
    """What a figure must reach."""

    name: str
    relation: str  # "<=" or ">="
    limit: float
    unit: str = ""

    @property
    def text(self) -> str:
        return f"{self.relation} {self.limit:g} {self.unit}".strip()

    def figure(self, value: float, spread: str | None = None) -> Figure:
        """Held against the goal before it is rounded."""
        met = bool(_HOLDS[self.relation](value, self.limit))
        return Figure(self.name, round(float(value), 4), self.unit, self.text, met, spread)

    def not_measured(self) -> Figure:
        return Figure(self.name, None, self.unit, self.text, met=False)


def span(values: list[float]) -> str:
    """The smallest and the largest of some repeats."""
    return f"{min(values):.4g}–{max(values):.4g} of {len(values)}"
