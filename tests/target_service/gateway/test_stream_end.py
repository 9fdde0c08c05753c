"""A stream that was begun with status 200 is served only if it came to its end."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_service.gateway.stream_end import StreamEnd
from target_service.protocol import sse

TOKEN = sse.event({"choices": [{"delta": {"content": "a"}}]})
ERROR = sse.event({"error": {"message": "The engine is gone."}})
SAID = sse.event({"choices": [{"delta": {"content": 'data: {"error"'}}]})  # a user's words are escaped
STREAMS = {
    TOKEN * 3 + sse.DONE: "answered",
    TOKEN + b"data: [DONE]\r\n\r\n": "answered",
    SAID + sse.DONE: "answered",
    sse.DONE + sse.KEEP_ALIVE: "upstream_incomplete",
    TOKEN: "upstream_incomplete",
    b"": "upstream_incomplete",
    TOKEN + ERROR + sse.DONE: "upstream_error",
    TOKEN + ERROR: "upstream_error",
}


@pytest.mark.parametrize("stream", STREAMS)
@given(cuts=st.lists(st.integers(0, 200), max_size=6))
def test_how_it_ended_does_not_depend_on_the_pieces_that_it_came_in(stream: bytes, cuts: list[int]) -> None:
    end, places = StreamEnd(), [0, *sorted(cuts), len(stream)]
    for begin, until in itertools.pairwise(places):
        end.feed(stream[begin:until])
    assert end.outcome == STREAMS[stream]
