"""Looks through a port that an engine publishes."""

from __future__ import annotations

import pytest

from harness.stack.compose.links import behind_forwarder
from harness.stack.links import Seen


@pytest.mark.parametrize("seen", [Seen(connected=True, reset=True), Seen(connected=True, closed_s=0.002)])
def test_who_is_hung_up_on_without_a_byte_was_refused(seen: Seen) -> None:
    assert behind_forwarder(seen).refused


@pytest.mark.parametrize(
    "seen",
    [
        Seen(connected=True),  # silence
        Seen(connected=True, closed_s=0.1, first_byte_s=0.1, data=b"HTTP/1.1 200 OK"),
        Seen(connected=True, reset=True, first_byte_s=0.1, data=b"HTTP"),
        Seen(connected=False),
        Seen(connected=False, refused=True),
    ],
)
def test_everything_else_is_what_it_was(seen: Seen) -> None:
    assert behind_forwarder(seen) == seen
