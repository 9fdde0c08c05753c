"""What gateway, replicas and supervisor say of themselves, as events on the run's clock. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from harness.model.event import Event

__all__ = ["counters", "gateway_events", "since", "supervision_event"]

TIMES = frozenset(
    {"last_routed_s", "beat_begin_s", "monotonic_s", "detected_s"}
)  # fields that are moments on the host's monotonic clock
ENDS_A_PROCESS = frozenset({"EXITED", "BACKOFF", "STOPPED"})
DECISIONS = {
    "GIVEN_UP": "given_up",
    "FATAL": "given_up",
    "BACKING_OFF": "backing_off",
    "RESTARTING": "restarting",
    "NOT_RESTARTED": "not_restarted",
    "CLEANED_UP": "cleaned_up",
    "PORT_BUSY": "port_busy",
    "UNHEALTHY": "unhealthy",
    "CHECK_HANGS": "check_hangs",
    "LOG_TRUNCATED": "log_truncated",
    "SECOND_INSTANCE": "second_instance",
    "RECOVERY_FAILED": "recovery_failed",
}
"""What a supervisor decided -> the event's kind, without `target.`."""
NO_SUMS = frozenset({"open", "incarnation"})
OF_THE_ROW = frozenset({"at_monotonic_s", "program", "state", "came_from", "expected", "pid"})


def gateway_events(rows: Iterable[Mapping[str, Any]], origin_s: float, incarnation: object) -> list[Event]:
    """Rows of GET /gateway/events -> events `target.KIND`; `origin_s` is the run's origin on the monotonic clock."""
    events = []
    for row in rows:
        fields = {key: _moved(key, value, origin_s) for key, value in row.items() if key not in ("seq", "at_s", "kind")}
        events.append(
            Event(row["at_s"] - origin_s, f"target.{row['kind']}", {**fields, "gateway_incarnation": incarnation})
        )
    return events


def counters(source: str, body: Mapping[str, Any], at_s: float, origin_s: float) -> Event:
    """What a server has counted so far; a new incarnation counts from 0."""
    return Event(at_s, "counters", {"source": source, **_relative(body, origin_s)})


def since(body: Mapping[str, Any], before: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a server has counted beyond what the same incarnation had counted `before`."""
    if body.get("incarnation") != before.get("incarnation"):
        return body
    return {key: value - before[key] if _counts(key, value, before) else value for key, value in body.items()}


def _counts(key: str, value: object, before: Mapping[str, Any]) -> bool:
    return type(value) is int and type(before.get(key)) is int and key not in NO_SUMS


def supervision_event(row: Mapping[str, Any], origin_s: float, how: str | None) -> Event | None:
    """A line of supervision.jsonl as `target.started`, `target.exited`, or a decision of the supervisor; None: neither.

    `how` is what supervisord's log says of the process's end.
    """
    state, program = row.get("state"), row.get("program")
    at_s = float(row.get("at_monotonic_s", origin_s)) - origin_s
    fields: dict[str, Any] = {"replica": program, "pid": row.get("pid")}
    if state == "STARTING":
        return Event(at_s, "target.started", fields)
    if state in ENDS_A_PROCESS and row.get("came_from") not in ("BACKOFF", "EXITED"):
        return Event(at_s, "target.exited", {**fields, "how": how, "asked_for": state == "STOPPED"})
    if state in DECISIONS:
        said = {key: value for key, value in row.items() if key not in OF_THE_ROW and value is not None}
        return Event(at_s, f"target.{DECISIONS[state]}", {"replica": program, **said})
    return None


def _relative(body: Mapping[str, Any], origin_s: float) -> dict[str, Any]:
    return {
        key: _relative(value, origin_s) if isinstance(value, Mapping) else _moved(key, value, origin_s)
        for key, value in body.items()
    }


def _moved(key: str, value: Any, origin_s: float) -> Any:
    return value - origin_s if key in TIMES and isinstance(value, int | float) else value
