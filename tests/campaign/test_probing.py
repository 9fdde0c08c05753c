"""Probes that look again and again: when a look began, and when it was known what it saw."""

from __future__ import annotations

from harness.campaign.probing import Prober
from harness.model.health import Looked
from harness.stack.links import Ask, Seen


class Slow:
    """A look that is over when the test says so."""

    def __init__(self) -> None:
        self.over: Seen | None = None

    def seen(self) -> Seen | None:
        return self.over


def test_a_look_is_noted_with_the_time_at_which_it_was_over() -> None:
    begun: list[Slow] = []

    def begin(_: Ask) -> Slow:
        begun.append(Slow())
        return begun[-1]

    prober = Prober({"p": Ask()}, begin)
    for now_s in (10.0, 10.5):
        prober.poll(now_s)
    assert prober.looks["p"] == [] and len(begun) == 1, "one at a time"
    begun[0].over = Seen(connected=True)
    prober.poll(11.0)
    begun[1].over = Seen(connected=True, answered=True, status=200)
    prober.poll(11.25)
    assert prober.looks["p"] == [Looked(10.0, 11.0, False), Looked(11.0, 11.25, True)]
