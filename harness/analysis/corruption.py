"""How long users were served from a damaged model before anything noticed: an interval, or nothing if it was not shown.

The silence begins somewhere between the damage and the first answer that came from it: an answer of that replica
which was wrong, or any answer that it was asked for after its process had been seen to hold altered bytes. It ends at
the first of: a detector fired, the gateway isolated the replica, the harness took the damage back. A file that is
damaged and not loaded is latent, and a replica that refuses to load it serves nobody: neither is silence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from harness.analysis.frame import OUTCOMES
from harness.model.event import Event
from harness.model.request import Outcome
from harness.model.verdict import Corruption, Interval

__all__ = ["GATEWAY_FINGERPRINT", "GATEWAY_GOLDEN", "observed_corruptions", "unnoticed_s"]

GATEWAY_GOLDEN, GATEWAY_FINGERPRINT = "gateway_golden", "gateway_fingerprint"
_FAMILY = "weights."
_FAILED_EXIT = re.compile(r"exit status [1-9][0-9]*")
_OK, _WRONG = OUTCOMES.index(Outcome.OK), OUTCOMES.index(Outcome.WRONG_ANSWER)


def observed_corruptions(
    events: Sequence[Event], target_events: Sequence[Event], users: pd.DataFrame, end_s: float
) -> tuple[Corruption, ...]:
    """One for each fault of a model's files that began in an episode, whose `events` and `users` these are.

    `target_events` are sorted by time; `end_s` is when observation ended, on the run's clock as everything here.
    """
    begun = [event for event in events if event.kind == "fault_begin" and _is_damage(event)]
    return tuple(_corruption(begin, events, target_events, (users, end_s)) for begin in begun)


def unnoticed_s(corruptions: Sequence[Corruption]) -> Interval | None:
    """How long damage can have been served before the target noticed: of the longest. None: it cannot be said.

    What only the harness ended would have gone on, so it is open; what a detector refused before any answer was shown
    to come from it lasted no longer than until that detector fired.
    """
    found = [_unnoticed_s(one) for one in corruptions]
    known = [interval for interval in found if interval is not None]
    if not known or len(known) < len(found):
        return None
    highs = [interval.high for interval in known if interval.high is not None]
    return Interval(max(one.low for one in known), max(highs) if len(highs) == len(known) else None)


def _unnoticed_s(one: Corruption) -> Interval | None:
    if one.silent_s is None:
        return None if one.detected_s is None else Interval(0.0, one.detected_s)
    return one.silent_s if one.ended_by in ("detector", "isolation") else Interval(one.silent_s.low, None)


def _is_damage(event: Event) -> bool:
    return str(event.fields.get("fault_kind", "")).startswith(_FAMILY)


def _corruption(
    begin: Event, events: Sequence[Event], target_events: Sequence[Event], seen: tuple[pd.DataFrame, float]
) -> Corruption:
    users, end_s = seen
    replica, same = str(begin.fields["on"]), [e for e in events if e.fields.get("fault") == begin.fields["fault"]]
    back_s = min((e.at_s for e in same if e.kind == "fault_end"), default=None)
    over_s = end_s if back_s is None else back_s
    mine = [e for e in target_events if e.fields.get("replica") == replica and e.at_s >= begin.at_s]
    detected = _detected(mine, begin.at_s, over_s)
    held_s = min((e.at_s for e in same if e.kind == "fault_proof" and e.fields.get("holds_altered")), default=math.inf)
    shown = _first_served(users, replica, (begin.at_s, held_s, over_s))
    silent, ended_by = None, None
    if shown is not None:
        sent_s, done_s, _ = shown
        isolated_s = [e.at_s for e in mine if e.kind == "target.isolated" and sent_s <= e.at_s <= over_s]
        ends = [(at_s, "isolation") for at_s in isolated_s] + ([] if back_s is None else [(back_s, "inverse")])
        ends += [] if detected is None else [(detected[0], "detector")]
        over_at_s, ended_by = min(ends, default=(None, None))
        low_s = (end_s if over_at_s is None else over_at_s) - done_s
        silent = Interval(max(0.0, low_s), None if over_at_s is None else over_at_s - begin.at_s)
    return Corruption(
        fault=f"{begin.fields['fault_kind']} on {replica}",
        detector=None if detected is None else detected[1],
        detected_s=None if detected is None else detected[0] - begin.at_s,
        served="no answer was shown to come from the damaged model" if shown is None else shown[2],
        silent_s=silent,
        ended_by=ended_by,
    )


def _detected(mine: Sequence[Event], begin_s: float, over_s: float) -> tuple[float, str] | None:
    """When the first detector fired, and which. The replica says when its own did, on the host's one clock."""
    found: list[tuple[float, str]] = []
    for event in mine:
        if event.kind == "target.integrity_failed":
            at_s = event.fields.get("detected_s")
            found.append((event.at_s if at_s is None else float(at_s), str(event.fields["detector"])))
        elif event.kind == "target.golden_failed":
            by_fingerprint = str(event.fields.get("reason", "")).startswith("fingerprint")
            found.append((event.at_s, GATEWAY_FINGERPRINT if by_fingerprint else GATEWAY_GOLDEN))
        elif event.kind == "target.exited" and not event.fields.get("asked_for"):
            # It ended itself with an error: that it refused is seen, which of its detectors did is not.
            how = str(event.fields.get("how"))
            if _FAILED_EXIT.fullmatch(how):
                found.append((event.at_s, how))
    return min((one for one in found if begin_s <= one[0] <= over_s), default=None)


def _first_served(
    users: pd.DataFrame, replica: str, times: tuple[float, float, float]
) -> tuple[float, float, str] | None:
    """The first answer that shows that users were served from the damage: sent, done, and why it shows it."""
    begin_s, held_s, over_s = times
    code, sent_s, done_s = (users[name].to_numpy() for name in ("code", "sent_s", "done_s"))
    served_by = users["served_by"]
    # A target that does not say who served leaves its wrong answers only: anybody's.
    by_it = np.ones(len(users), dtype=bool) if served_by.isna().all() else (served_by == replica).to_numpy()
    wrong = by_it & (code == _WRONG) & (done_s >= begin_s) & (done_s <= over_s)
    held = by_it & ~served_by.isna().to_numpy() & np.isin(code, (_OK, _WRONG)) & (sent_s >= held_s) & (done_s <= over_s)
    found = []
    for mask, why in ((wrong, "a wrong answer"), (held, "an answer from a process that held altered bytes")):
        if mask.any():
            first = np.flatnonzero(mask)[np.argmin(done_s[mask])]
            found.append((float(done_s[first]), float(sent_s[first]), f"{why}, the first of {int(mask.sum())}"))
    if not found:
        return None
    done, sent, why = min(found)
    return sent, done, why
