"""Alerts that a scenario asks for: those that there are, and those that could fire in time. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.model.alerts import AlertRule
from harness.model.scenario import Scenario
from harness.plan.timeline import windows
from harness.plan.validation import suggest

__all__ = ["alert_refusals", "unknown_alerts"]

Refused = tuple[str, str]  # the key's path, and why


def unknown_alerts(scenario: Scenario, rules: Sequence[AlertRule]) -> Iterator[Refused]:
    """Names that no rule has."""
    known = [rule.name for rule in rules]
    for name in scenario.alerts:
        if name not in known:
            yield f"alerts.{name}", f"there is no such alert rule{suggest(name, known)}"


def alert_refusals(scenario: Scenario, rules: Sequence[AlertRule], why_not: str) -> Iterator[Refused]:
    """What could never be shown, whatever happens. `why_not`: why no Prometheus will watch; empty: one will."""
    if not scenario.alerts:
        return
    if why_not:
        yield "alerts", f"alerts are seen by a Prometheus beside the run, and there will be none: {why_not}"
        return
    yield from unknown_alerts(scenario, rules)
    named = {rule.name: rule for rule in rules}
    for name, limit in scenario.alerts.items():
        why = _never(scenario, named[name], limit.within_s) if name in named else ""
        if why:
            yield f"alerts.{name}", why


def _never(scenario: Scenario, rule: AlertRule, within_s: float) -> str:
    first_s = min((fault.at_s for fault in scenario.faults), default=0.0)
    known_s = scenario.phases.baseline_s + first_s
    if rule.earliest_s >= within_s:
        never = f"it cannot fire within {within_s:g} s of a fault: {_why_late(rule)}"
        return f"{never}; ask for more than {rule.earliest_s:g} s"
    seen_s = _seen_s(scenario, first_s)
    if within_s > seen_s:
        return (
            f"observation ends {seen_s:g} s after the fault's begin, so {within_s:g} s cannot be judged: "
            "raise phases.recovery_s"
        )
    if rule.range_s > known_s:
        return (
            f"it looks back over {rule.range_s:g} s and only {known_s:g} s are known when the fault begins, so it "
            f"would fire faster than it does in production: raise phases.baseline_s to {rule.range_s - first_s:g}"
        )
    return ""


def _why_late(rule: AlertRule) -> str:
    parts = {
        "its condition cannot be met before {:g} s": rule.condition_s,
        "its condition must hold for {:g} s": rule.for_s,
    }
    return " and ".join(words.format(seconds) for words, seconds in parts.items() if seconds)


def _seen_s(scenario: Scenario, first_s: float) -> float:
    """From the first fault's begin to the end of its episode; every episode is like the first."""
    of_first = [window for window in windows(scenario) if window.episode == 1]
    return of_first[-1].end_s - of_first[0].begin_s - first_s if of_first else 0.0
