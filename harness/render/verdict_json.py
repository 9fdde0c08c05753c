"""The verdict as strict JSON, and back again without loss."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any

from harness.model.errors import RunFolderError
from harness.model.health import Health, ProbeHealth, Served
from harness.model.log_evidence import LogEvidence, LogMark, RuleHit
from harness.model.verdict import (
    Advice,
    AlertFate,
    AlertReport,
    Corruption,
    EpisodeAlerts,
    EpisodeResult,
    Estimate,
    Finding,
    Interval,
    LogExcerpt,
    LogLine,
    PhaseResult,
    ResourceUse,
    Stages,
    Verdict,
    VerdictOutcome,
)

__all__ = ["from_json", "to_json"]

_FIRST = ("outcome", "reason", "seed", "scenario", "sli", "episodes", "findings")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # valid in JSON as an escape, not in UTF-8
_ONE_LINE_EACH = ("series", "marks", "latency_by_phase")  # a column of 1,000 bins is one line


def to_json(verdict: Verdict) -> str:
    """The verdict as JSON, what matters first. A number that JSON does not have (NaN, infinity) is a ValueError."""
    names = [field.name for field in fields(Verdict) if field.name != "health" or verdict.health is not None]
    ordered = [*_FIRST, *(name for name in names if name not in _FIRST)]
    members = (f"{json.dumps(name)}: {_value(name, getattr(verdict, name))}" for name in ordered)
    text = "{\n  " + ",\n  ".join(members) + "\n}\n"
    return _LONE_SURROGATE.sub(lambda lone: f"\\u{ord(lone.group()):04x}", text)


def from_json(text: str) -> Verdict:
    """The verdict that `to_json` wrote; anything else is a RunFolderError."""
    try:
        return _verdict(json.loads(text, parse_constant=_not_json))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = f"verdict.json is damaged ({error}); make it again from the history with: harness judge RUN"
        raise RunFolderError(message) from error


def _value(name: str, value: Any) -> str:
    if name not in _ONE_LINE_EACH:
        return _dumps(value, indent=2).replace("\n", "\n  ")
    if isinstance(value, Mapping):
        lines = [f"{json.dumps(str(key))}: {_dumps(item)}" for key, item in value.items()]
        return "{\n    " + ",\n    ".join(lines) + "\n  }" if lines else "{}"
    lines = [_dumps(item) for item in value]
    return "[\n    " + ",\n    ".join(lines) + "\n  ]" if lines else "[]"


def _dumps(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    """What is not JSON by itself: dataclasses, read-only mappings and sets."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} in a verdict cannot be written as JSON")


def _not_json(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def _verdict(data: dict[str, Any]) -> Verdict:
    return Verdict(
        **{
            **data,
            "outcome": VerdictOutcome(data["outcome"]),
            "estimates": {name: Estimate(**item) for name, item in data["estimates"].items()},
            "phases": tuple(PhaseResult(**item) for item in data["phases"]),
            "episodes": tuple(_episode(item) for item in data["episodes"]),
            "findings": tuple(_finding(item) for item in data["findings"]),
            "marks": tuple(data["marks"]),
            "limits": tuple(data["limits"]),
            "runbook": tuple(Advice(**{**x, "outcome": VerdictOutcome(x["outcome"])}) for x in data.get("runbook", ())),
            "logs": tuple(
                LogExcerpt(x["episode"], tuple(LogLine(**line) for line in x["lines"]), x["note"])
                for x in data.get("logs", ())
            ),
            "resources": tuple(ResourceUse(**x) for x in data.get("resources", ())),
            "log_evidence": _log_evidence(data.get("log_evidence")),
            "alerts": _alerts(data.get("alerts")),
            "health": _health(data.get("health")),
        }
    )


def _log_evidence(data: dict[str, Any] | None) -> LogEvidence | None:
    if data is None:
        return None
    marks, hits = (LogMark(**x) for x in data["marks"]), (RuleHit(**x) for x in data["hits"])
    return LogEvidence(**{**data, "marks": tuple(marks), "hits": tuple(hits), "notes": tuple(data["notes"])})


def _health(data: dict[str, Any] | None) -> Health | None:
    if data is None:
        return None
    probes, load = tuple(ProbeHealth(**one) for one in data["probes"]), data["load"]
    read = {"probes": probes, "not_tested": tuple(data["not_tested"]), "load": None if load is None else Served(**load)}
    return Health(**{**data, **read})


def _alerts(data: dict[str, Any] | None) -> AlertReport | None:
    if data is None:
        return None
    return AlertReport(data["note"], tuple(_episode_alerts(one) for one in data["episodes"]))


def _episode_alerts(data: dict[str, Any]) -> EpisodeAlerts:
    fates = tuple(AlertFate(**{**one, "after_s": _interval(one["after_s"])}) for one in data["fates"])
    return EpisodeAlerts(**{**data, "fates": fates})


def _episode(data: dict[str, Any]) -> EpisodeResult:
    return EpisodeResult(
        **{
            **data,
            "faults": tuple(data["faults"]),
            "first_good_s": _interval(data["first_good_s"]),
            "recovery_s": _interval(data["recovery_s"]),
            "stages": Stages(**data["stages"]),
            "corruptions": tuple(
                Corruption(**{**one, "silent_s": _interval(one["silent_s"])}) for one in data.get("corruptions", ())
            ),
        }
    )


def _interval(data: dict[str, Any] | None) -> Interval | None:
    return None if data is None else Interval(**data)


def _finding(data: dict[str, Any]) -> Finding:
    return Finding(**{**data, "outcome": VerdictOutcome(data["outcome"])})
