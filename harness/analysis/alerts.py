"""Would anybody have noticed? Of each episode: which alert fired, how long after the fault, which should have. Pure.

What is known of alerts comes from the run's own Prometheus. An alert that did not fire counts as silent only where
rules were evaluated all the time and its metrics were there; all else is unknown, and an objective inconclusive.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch

from harness.model.alerts import AlertLimit, AlertRecord, AlertRule, AlertSpan
from harness.model.verdict import (
    AlertFate,
    AlertReport,
    EpisodeAlerts,
    EpisodeResult,
    Finding,
    Interval,
    VerdictOutcome,
    worst,
)

__all__ = ["NO_PROMETHEUS", "alert_findings", "alert_report"]

PASS, FAIL, INCONCLUSIVE = VerdictOutcome.PASS, VerdictOutcome.FAIL, VerdictOutcome.INCONCLUSIVE
PAGE = "page"  # the severity that wakes somebody
NO_PROMETHEUS = "No Prometheus watched this run, so whether an alert would have fired is not known."


def alert_report(record: AlertRecord | None, episodes: Sequence[EpisodeResult]) -> AlertReport:
    """Episodes on the run's clock."""
    if record is None:
        return AlertReport(NO_PROMETHEUS)
    if record.problem:
        return AlertReport(f"Whether an alert would have fired is not known: {record.problem}.")
    note = f"{len(record.rules)} alert rules, evaluated every {record.every_s:g} s by a Prometheus beside the run."
    return AlertReport(note, tuple(_of_episode(record, one) for one in episodes if one.fault_begin_s is not None))


def alert_findings(
    limits: Mapping[str, AlertLimit], record: AlertRecord | None, episodes: Sequence[EpisodeResult], *, trusted: bool
) -> Iterator[Finding]:
    """One for each alert that must fire. `trusted` False: the run as a whole cannot be believed, so nothing fails."""
    for name, limit in limits.items():
        title = f"{name} fires within {limit.within_s:g} s of the fault in every episode"
        judged = [(one, _judged(name, limit, record, one)) for one in episodes]
        outcome = worst(each for _, (each, _) in judged)
        if not judged:
            yield Finding(f"alerts.{name}", title, INCONCLUSIVE, "no episode was observed")
            continue
        first, reason = next((one, reason) for one, (each, reason) in judged if each is outcome)
        if outcome is FAIL and not trusted:
            outcome, reason = INCONCLUSIVE, f"{reason}; but the run cannot be believed"
        evidence = {f"episode {one.number}": why for one, (_, why) in judged[:50]}
        yield Finding(f"alerts.{name}", title, outcome, f"episode {first.number}: {reason}", evidence)


def _of_episode(record: AlertRecord, one: EpisodeResult) -> EpisodeAlerts:
    found = [fate for rule in record.rules if (fate := _fate(record, rule, one)) is not None]
    fired = sorted((fate for fate in found if fate.after_s), key=_fired_s)
    return EpisodeAlerts(one.number, _noticed(record, one, fired), (*fired, *(f for f in found if not f.after_s)))


def _noticed(record: AlertRecord, one: EpisodeResult, fired: Sequence[AlertFate]) -> str:
    """In a sentence: who would have been told, and what users had lost."""
    lost = (
        f"users lost {one.lost_requests:,} of {one.requests:,} requests" if one.lost_requests else "users lost nothing"
    )
    if fired:
        first = next((fate for fate in fired if fate.severity == PAGE), None)
        told = f"{fired[0].alert} fired {_fired_s(fired[0]):.1f} s after the fault's begin"
        if first is None:
            return f"{lost}; {told}, which is no page"
        paged = "" if first is fired[0] else f"; the first page was {first.alert} after {_fired_s(first):.1f} s"
        return f"{lost}; {told}{paged}"
    begin_s = _begin_s(one)
    if not record.known(begin_s, one.end_s):
        return f"{lost}; whether an alert fired is not known, since rules were not evaluated all the time"
    return f"{lost}, and no alert fired" + (": nobody would have been told" if one.lost_requests else "")


def _fate(record: AlertRecord, rule: AlertRule, one: EpisodeResult) -> AlertFate | None:
    """What became of a rule in an episode; None: it stayed silent, and is about other faults."""
    begin_s = _begin_s(one)
    span = _fired(record, rule.name, one)
    if span is not None:
        after_s = Interval(round(max(0.0, span.silent_s - begin_s), 3), round(span.begin_s - begin_s, 3))
        return _make(rule, "fired", _window_note(record, rule, begin_s), after_s)
    if _firing_at(record, rule.name, begin_s):
        return _make(rule, "already", "it was firing before the fault began")
    expected = any(fnmatch(words.split(" on ")[0], pattern) for words in one.faults for pattern in rule.faults)
    return _silent(record, rule, one) if expected else None


def _silent(record: AlertRecord, rule: AlertRule, one: EpisodeResult) -> AlertFate:
    """Of a rule that such a fault can bring about: whether it should have fired."""
    begin_s = _begin_s(one)
    if absent := record.absent.get(rule.name):
        return _make(rule, "blind", f"Prometheus has no sample of {', '.join(absent)}")
    if not record.known(begin_s, one.end_s):
        return _make(rule, "unknown", "rules were not evaluated all the time")
    room_s, seen_s = one.end_s - begin_s, begin_s - record.since_s
    if rule.earliest_s + 2 * record.every_s > room_s:  # a scrape and an evaluation come on top
        return _make(rule, "too_short", f"could not fire within the {room_s:.1f} s that were observed")
    if seen_s < rule.range_s:  # in production it has its whole window, and may rightly stay silent
        return _make(rule, "no_window", f"window longer than the {seen_s:.0f} s that were known before the fault")
    return _make(rule, "missed", _silence(record, rule, one))


def _make(rule: AlertRule, state: str, words: str, after_s: Interval | None = None) -> AlertFate:
    return AlertFate(rule.name, rule.severity, state, after_s, rule.earliest_s, words)


def _judged(name: str, limit: AlertLimit, record: AlertRecord | None, one: EpisodeResult) -> tuple[VerdictOutcome, str]:
    """One alert in one episode, against its limit."""
    rule = None if record is None else next((rule for rule in record.rules if rule.name == name), None)
    unknown = _unknown(name, record, rule, one)
    if unknown or record is None or rule is None:
        return INCONCLUSIVE, unknown
    begin_s, within_s = _begin_s(one), limit.within_s
    span = _fired(record, name, one)
    if span is not None and span.silent_s - begin_s <= within_s:
        after_s = span.begin_s - begin_s
        if after_s > within_s:
            edge = f"between {max(0.0, span.silent_s - begin_s):.1f} and {after_s:.1f} s"
            return INCONCLUSIVE, f"{name} began to fire {edge} after the fault's begin, and {within_s:g} s is the limit"
        note = _window_note(record, rule, begin_s)
        fired = f"{name} fired {after_s:.1f} s after the fault's begin"
        return (INCONCLUSIVE, f"{fired}, but {note}") if note else (PASS, fired)
    if one.end_s < begin_s + within_s:
        return INCONCLUSIVE, f"{name} had not fired when observation ended, {one.end_s - begin_s:.1f} s after the fault"
    if not record.known(begin_s, begin_s + within_s):
        return INCONCLUSIVE, f"whether {name} fired is not known: rules were not evaluated all the time"
    late = f"fired {span.begin_s - begin_s:.1f} s after the fault's begin" if span else "did not fire"
    return FAIL, f"{name} {late}, and must within {within_s:g} s ({_silence(record, rule, one)})"


def _unknown(name: str, record: AlertRecord | None, rule: AlertRule | None, one: EpisodeResult) -> str:
    """Why nothing can be said of the alert in this episode; empty: something can."""
    if record is None:
        return "no Prometheus watched this run"
    if record.problem:
        return record.problem
    if rule is None:
        return f"the Prometheus of this run had no rule {name}"
    if not one.valid or one.fault_begin_s is None:
        return one.invalid_reason or "the fault never began"
    if absent := record.absent.get(name):
        return f"Prometheus has no sample of {', '.join(absent)}, without which {name} cannot fire"
    if _fired(record, name, one) is None and _firing_at(record, name, one.fault_begin_s):
        return f"{name} was firing before the fault began"
    return ""


def _silence(record: AlertRecord, rule: AlertRule, one: EpisodeResult) -> str:
    """How near it came to firing."""
    begin_s = _begin_s(one)
    met = [span for span in _of(record, rule.name, "pending") if begin_s < span.begin_s <= one.end_s]
    if not met:
        return "its condition was never met"
    longest_s = max(min(span.end_s, one.end_s) - span.begin_s for span in met)
    return f"its condition was met for {longest_s:.1f} s, and must be for {rule.for_s:g} s"


def _window_note(record: AlertRecord, rule: AlertRule, begin_s: float) -> str:
    """Prometheus takes as much of a window as it has: short of its window, a rule answers faster than in production."""
    seen_s = begin_s - record.since_s
    if seen_s >= rule.range_s:
        return ""
    known = f"it looks back over {rule.range_s:g} s and only {seen_s:.0f} s were known"
    return f"{known}: with more, it may fire later, or not at all"


def _fired(record: AlertRecord, name: str, one: EpisodeResult) -> AlertSpan | None:
    """The first time that it began to fire in the episode."""
    begin_s = _begin_s(one)
    return next((span for span in _of(record, name, "firing") if begin_s < span.begin_s <= one.end_s), None)


def _firing_at(record: AlertRecord, name: str, at_s: float) -> bool:
    slack_s = 2.5 * record.every_s
    return any(span.begin_s <= at_s <= span.end_s + slack_s for span in _of(record, name, "firing"))


def _of(record: AlertRecord, name: str, state: str) -> Iterator[AlertSpan]:
    """By time."""
    return (span for span in record.spans if span.alert == name and span.state == state)


def _fired_s(fate: AlertFate) -> float:
    return fate.after_s.high if fate.after_s and fate.after_s.high is not None else 0.0


def _begin_s(one: EpisodeResult) -> float:
    return one.begin_s if one.fault_begin_s is None else one.fault_begin_s
