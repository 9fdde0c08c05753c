"""What the target's supervisor did in an episode: restarts, waits, clean-ups, and that it gave up. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from harness.model.event import Event

__all__ = ["restarts_of", "supervision_words"]


def restarts_of(events: Sequence[Event], begin_s: float, end_s: float) -> int:
    """How often a process was started again, by whomever, after an exit that nobody had asked for.

    `events`: what the target reported, by time. A start after the supervisor gave up was asked for by somebody else.
    """
    count, crashed = 0, set()
    for event in events:
        replica = event.fields.get("replica")
        if event.kind == "target.exited" and not event.fields.get("asked_for"):
            crashed.add(replica)
        elif event.kind == "target.given_up":
            crashed.discard(replica)
        elif event.kind == "target.started" and replica in crashed:
            crashed.discard(replica)
            count += begin_s <= event.at_s < end_s
    return count


def supervision_words(events: Sequence[Event], begin_s: float, end_s: float) -> str:
    """The same in a sentence for each replica, as in "primary: restarted 3 times, then given up"; empty: nothing."""
    seen = [event for event in events if begin_s <= event.at_s < end_s]
    replicas = sorted({str(event.fields["replica"]) for event in seen if "replica" in event.fields})
    said = {name: ", ".join(_of_replica(name, events, (begin_s, end_s))) for name in replicas}
    return "; ".join(f"{name}: {words}" for name, words in said.items() if words)


def _of_replica(name: str, events: Sequence[Event], window: tuple[float, float]) -> Iterator[str]:
    mine = [event for event in events if event.fields.get("replica") == name]
    seen = [event for event in mine if window[0] <= event.at_s < window[1]]
    counts = Counter(event.kind for event in seen)
    hung = counts["target.unhealthy"]
    if hung:
        yield "killed since it did not answer" + _times(hung)
    restarts = restarts_of(mine, *window)
    if restarts:
        yield f"restarted{_times(restarts, once=' once')}"
    waits = [float(event.fields.get("delay_s", 0.0)) for event in seen if event.kind == "target.backing_off"]
    if waits:
        yield f"backed off {min(waits):.1f} to {max(waits):.1f} s"
    yield from (f"cleaned up {event.fields.get('what')}" for event in seen if event.kind == "target.cleaned_up")
    yield from (f"port {e.fields.get('port')} stayed busy" for e in seen if e.kind == "target.port_busy")
    hanging = [int(event.fields.get("checks", 0)) for event in seen if event.kind == "target.check_hangs"]
    if hanging:
        yield "a health check hung" if max(hanging) == 1 else f"up to {max(hanging)} health checks hung"
    if counts["target.second_instance"]:
        yield "a second server was started beside it" + _times(counts["target.second_instance"])
    yield from (_failed(event) for event in seen if event.kind == "target.recovery_failed")
    yield from (f"not restarted: {e.fields.get('why')}" for e in seen if e.kind == "target.not_restarted")
    if counts["target.given_up"]:
        yield "then given up" if restarts else "given up"


def _failed(event: Event) -> str:
    really = " although it runs" if event.fields.get("but_running") else ""
    return f"its recovery was called failed after {event.fields.get('attempts')} attempts{really}"


def _times(count: int, once: str = "") -> str:
    return once if count == 1 else f" {count} times"
