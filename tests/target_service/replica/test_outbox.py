"""The outbox is bounded: who puts waits, and nobody waits for a server that has gone."""

from __future__ import annotations

import threading

from target_service.replica.outbox import Outbox


def test_what_is_put_is_taken_together_and_in_order() -> None:
    outbox = Outbox(9)
    for number in range(3):
        outbox.put(number)
    assert outbox.take(10) == [0, 1, 2]
    assert outbox.take(0) == []


def test_a_full_outbox_holds_up_who_puts_until_there_is_room() -> None:
    outbox = Outbox(1)
    outbox.put("a")
    putting = threading.Thread(target=outbox.put, args=("b",), daemon=True)
    putting.start()
    putting.join(0.05)
    assert putting.is_alive()
    assert outbox.take(10) == ["a"]
    putting.join(10)
    assert outbox.take(10) == ["b"]


def test_a_closed_outbox_gives_what_it_has_then_nothing_and_holds_up_nobody() -> None:
    outbox = Outbox(1)
    outbox.put("a")
    putting = threading.Thread(target=outbox.put, args=("b",), daemon=True)
    putting.start()
    outbox.close()
    putting.join(10)
    assert not putting.is_alive()
    outbox.put("c")
    assert (outbox.take(10), outbox.take(10)) == (["a"], None)
