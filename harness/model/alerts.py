"""Alert rules, what became of them in a run, and what a scenario may ask of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from harness.model.fault import STRICT, SecondsAboveZero

__all__ = ["WATCHDOG", "AlertLimit", "AlertRecord", "AlertRule", "AlertSpan", "alert_rules", "seconds_of"]

WATCHDOG = "Watchdog"  # fires always: where it has no sample, no rule was evaluated, and silence means nothing
FAULTS, NOT_BEFORE = "brought_by", "not_before"  # annotations of a rule; see CONTRIBUTING.md, "Add an alert rule"

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0}
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
_RANGE = re.compile(r"\[([0-9a-z]+)(?::[0-9a-z]*)?\]")
_LABELS = re.compile(r"\{[^}]*\}|\[[^]]*\]|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_NAME = re.compile(r"(?<![\w:.])[A-Za-z_:][\w:]*(?![\w:]|\s*\()")
_WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "offset", "bool", "group_left", "group_right"}


@dataclass(frozen=True, kw_only=True)
class AlertLimit:
    """An alert that must fire in every episode."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    within_s: SecondsAboveZero
    """After the fault's begin."""


@dataclass(frozen=True)
class AlertRule:
    """One rule of a Prometheus. `range_s`: the longest window that it looks back over, recordings included."""

    name: str
    expr: str
    for_s: float = 0.0
    severity: str = ""
    range_s: float = 0.0
    condition_s: float = 0.0  # from the fault's begin, before this its condition cannot be met; 0 where nothing says
    faults: tuple[str, ...] = ()  # patterns of the kinds of faults that can bring it about; empty: nothing says
    metrics: tuple[str, ...] = ()  # that are scraped and that it needs

    @property
    def earliest_s(self) -> float:
        """After a fault's begin, it cannot fire before this, whatever the fault does: its theoretical time."""
        return self.condition_s + self.for_s


@dataclass(frozen=True)
class AlertSpan:
    """An alert in one state without a break, in seconds of the run."""

    alert: str
    state: str  # pending: its condition is met, but not for long enough; firing
    source: str  # instance, or empty
    silent_s: float  # when it was last known not to be in this state
    begin_s: float
    end_s: float


@dataclass(frozen=True)
class AlertRecord:
    """What the Prometheus of a run said of its rules, in seconds of the run."""

    every_s: float  # between two evaluations
    rules: tuple[AlertRule, ...] = ()
    spans: tuple[AlertSpan, ...] = ()
    evaluated: tuple[tuple[float, float], ...] = ()  # stretches in which rules are known to have been evaluated
    absent: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # rule -> metrics without a single sample
    problem: str = ""  # why nothing is known of them

    def known(self, begin_s: float, end_s: float) -> bool:
        """Whether rules were evaluated all the time."""
        slack_s = 2.5 * self.every_s
        return any(since <= begin_s + slack_s and until >= end_s - slack_s for since, until in self.evaluated)

    @property
    def since_s(self) -> float:
        """Before this nothing was scraped."""
        return min((since for since, _ in self.evaluated), default=0.0)


def alert_rules(groups: Sequence[Mapping[str, Any]]) -> tuple[AlertRule, ...]:
    """Alerts of groups of rules, as a rule file has them. Raises KeyError, TypeError or ValueError else."""
    rules = [rule for group in groups for rule in group.get("rules") or ()]
    recorded = {str(rule["record"]): str(rule["expr"]) for rule in rules if "record" in rule}
    return tuple(_rule(rule, recorded) for rule in rules if "alert" in rule)


def seconds_of(duration: str) -> float:
    """A duration of Prometheus, as in 1h30m. Raises ValueError."""
    parts = re.findall(r"(\d+)(ms|[smhdwy])", duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(f"'{duration}' is no duration of Prometheus, as in 30s or 1h30m")
    return sum(int(number) * _SECONDS[unit] for number, unit in parts)


def _rule(rule: Mapping[str, Any], recorded: Mapping[str, str]) -> AlertRule:
    expressions = list(_expanded(str(rule["expr"]), recorded))
    notes = rule.get("annotations") or {}
    ranges = [seconds_of(word) for text in expressions for word in _RANGE.findall(_QUOTED.sub("", text))]
    names = {name for text in expressions for name in _names(text)} - set(recorded)
    return AlertRule(
        name=str(rule["alert"]),
        expr=str(rule["expr"]),
        for_s=seconds_of(str(rule["for"])) if rule.get("for") else 0.0,
        severity=str((rule.get("labels") or {}).get("severity", "")),
        range_s=max(ranges, default=0.0),
        condition_s=seconds_of(str(notes[NOT_BEFORE])) if NOT_BEFORE in notes else 0.0,
        faults=tuple(str(notes.get(FAULTS, "")).split()),
        metrics=tuple(sorted(names)),
    )


def _expanded(expr: str, recorded: Mapping[str, str], seen: tuple[str, ...] = ()) -> Iterator[str]:
    """The expression, and those of the recordings that it takes."""
    yield expr
    for name in sorted(set(_names(expr)) & set(recorded) - set(seen)):
        yield from _expanded(recorded[name], recorded, (*seen, name))


def _names(expr: str) -> list[str]:
    """Names of metrics: what is neither a function nor a word of the language, a label or a string."""
    return [name for name in _NAME.findall(_LABELS.sub(" ", _QUOTED.sub("", expr))) if name.lower() not in _WORDS]
