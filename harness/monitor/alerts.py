"""Alerts as a Prometheus kept them: from samples of its series ALERTS to stretches of a state. Pure.

ALERTS has a sample at each evaluation at which an alert is pending or firing, and none at the others. That is silence
only where rules were evaluated at all, which the samples of WATCHDOG show.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from harness.model.alerts import WATCHDOG, AlertRecord, AlertRule, AlertSpan, alert_rules
from harness.monitor.kept import Kept
from harness.monitor.series import Series

__all__ = ["ALERT", "NO_WATCHDOG", "alert_record", "as_groups", "rules_line"]

ALERT = "alert"  # the name under which samples of ALERTS are kept
GAP = 2.5  # intervals without a sample, after which it was not just an evaluation that came late
NO_WATCHDOG = f"its rules have no alert {WATCHDOG} that fires always, so silence cannot be told from no evaluation"


def as_groups(said: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Groups of rules from /api/v1/rules, in the shape of a rule file."""
    return [{"rules": [_as_in_a_file(rule) for rule in group["rules"]]} for group in said]


def rules_line(groups: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """What is kept of the rules, and which metrics of each are not among `names`, all that the Prometheus ever had."""
    rules = alert_rules(groups)
    known = set(names)
    absent = {rule.name: sorted(set(rule.metrics) - known) for rule in rules}
    return {
        "rules": [asdict(rule) for rule in rules],
        "absent": {name: metrics for name, metrics in absent.items() if metrics},
    }


def alert_record(kept: Kept | None) -> AlertRecord | None:
    """What is known of alerts; None: no Prometheus watched the run. Times in seconds of the run."""
    if kept is None:
        return None
    if kept.alerts is None:
        return AlertRecord(kept.every_s, problem=kept.missing.get(ALERT, "its rules were not kept"))
    try:
        rules = tuple(_kept_rule(row) for row in kept.alerts["rules"])
        absent = {str(name): tuple(metrics) for name, metrics in kept.alerts.get("absent", {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return AlertRecord(kept.every_s, problem="what was kept of its rules is damaged")
    series = [one for one in kept.series if one.name == ALERT]
    looks = sorted({at for one in series if one.labels.get("alertname") == WATCHDOG for at in one.at_s})
    if not looks:
        return AlertRecord(kept.every_s, rules, absent=absent, problem=kept.missing.get(ALERT, NO_WATCHDOG))
    if abs(kept.clock_moved_s) > kept.every_s:
        moved = f"the host's clock moved by {kept.clock_moved_s:.1f} s meanwhile, and Prometheus goes by it"
        return AlertRecord(kept.every_s, rules, absent=absent, problem=moved)
    gap_s = GAP * kept.every_s
    spans = [span for one in series if one.labels.get("alertname") != WATCHDOG for span in _spans(one, looks, gap_s)]
    return AlertRecord(
        every_s=kept.every_s,
        rules=tuple(rule for rule in rules if rule.name != WATCHDOG),
        spans=tuple(sorted(spans, key=lambda span: (span.begin_s, span.alert))),
        evaluated=tuple(_stretches(looks, gap_s)),
        absent=absent,
    )


def _as_in_a_file(rule: Mapping[str, Any]) -> dict[str, Any]:
    if rule["type"] == "recording":
        return {"record": rule["name"], "expr": rule["query"]}
    lasting = {"for": f"{round(float(rule['duration']) * 1000)}ms"} if rule.get("duration") else {}
    notes = {name: rule.get(name) or {} for name in ("labels", "annotations")}
    return {"alert": rule["name"], "expr": rule["query"], **lasting, **notes}


def _kept_rule(row: Mapping[str, Any]) -> AlertRule:
    return AlertRule(
        name=str(row["name"]),
        expr=str(row["expr"]),
        for_s=float(row["for_s"]),
        severity=str(row["severity"]),
        range_s=float(row["range_s"]),
        condition_s=float(row["condition_s"]),
        faults=tuple(str(one) for one in row["faults"]),
        metrics=tuple(str(one) for one in row["metrics"]),
    )


def _spans(series: Series, looks: Sequence[float], gap_s: float) -> Iterator[AlertSpan]:
    """`looks`: when rules are known to have been evaluated, if not at the same moment in every group."""
    name, state = series.labels.get("alertname", ""), series.labels.get("alertstate", "")
    every_s = gap_s / GAP
    for begin_s, end_s in _stretches(series.at_s, gap_s):
        before = bisect_left(looks, begin_s)
        silent_s = max(0.0, min(begin_s - every_s, looks[before - 1] if before else 0.0))
        yield AlertSpan(name, state, series.labels.get("instance", ""), silent_s, begin_s, end_s)


def _stretches(at_s: Sequence[float], gap_s: float) -> Iterator[tuple[float, float]]:
    """(first, last) of samples with no larger gap between them."""
    begin_s = last_s = None
    for at in at_s:
        if begin_s is None or last_s is None:
            begin_s = at
        elif at - last_s > gap_s:
            yield begin_s, last_s
            begin_s = at
        last_s = at
    if begin_s is not None and last_s is not None:
        yield begin_s, last_s
