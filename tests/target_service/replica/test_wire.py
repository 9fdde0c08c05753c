"""What server and engine process say to each other comes out as it went in, in whatever pieces it arrives."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_service.protocol.chat import ChatRequest, Message, Sampling, Usage
from target_service.protocol.errors import RequestRejectedError
from target_service.replica.engine import Begun, Event, Failed, Finished, Piece
from target_service.replica.wire import (
    FRAME_BYTES_MAX,
    Frames,
    WireError,
    encode,
    event_from,
    event_message,
    request_from,
    request_message,
)

texts = st.text(st.characters(), max_size=20)
messages = st.lists(st.lists(texts, min_size=1, max_size=3), max_size=4)


@given(st.lists(messages, max_size=4), st.data())
def test_messages_arrive_whole_and_in_order_however_the_bytes_are_cut(
    batches: list[list[str]], data: st.DataObject
) -> None:
    sent = b"".join(encode(batch) for batch in batches)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=6)))
    frames, seen = Frames(), []
    for begin, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        seen += frames.feed(sent[begin:end])
    assert seen == [message for batch in batches for message in batch]


@given(texts, st.integers(), st.floats(allow_nan=False), st.booleans(), st.none() | st.integers())
def test_a_request_comes_out_as_it_went_in(text: str, tokens: int, number: float, flag: bool, seed: int | None) -> None:
    sampling = Sampling(tokens, number, number, seed, (text, "end"), flag)
    request = ChatRequest((Message("user", text), Message("tool", "")), sampling, flag, not flag)
    (message,) = Frames().feed(encode([request_message(7, request, express=flag)]))
    assert (message[:2], message[3]) == (["submit", 7], flag)
    assert request_from(message[2]) == request


@pytest.mark.parametrize("event", [Begun(), Piece("ö\ud800"), Finished("stop", Usage(1, 2))])
def test_an_event_comes_out_as_it_went_in(event: Event) -> None:
    (message,) = Frames().feed(encode([event_message(7, event)]))
    assert message[:2] == ["event", 7]
    assert event_from(message[2:]) == event


def test_a_refusal_keeps_its_status_its_code_and_its_time_to_come_back() -> None:
    refused = Failed(RequestRejectedError(429, "full", param="p", code="queue_full", retry_after_s=1))
    (message,) = Frames().feed(encode([event_message(7, refused)]))
    event = event_from(message[2:])
    assert isinstance(event, Failed)
    assert vars(event.rejected) == vars(refused.rejected)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(struct.pack("!I", FRAME_BYTES_MAX + 1), id="longer than any frame"),
        pytest.param(struct.pack("!I", 3) + b"{]}", id="not JSON"),
        pytest.param(struct.pack("!I", 2) + b"{}", id="not a list"),
        pytest.param(struct.pack("!I", 4) + json.dumps([[]]).encode(), id="a message without a kind"),
    ],
)
def test_what_is_not_a_frame_is_an_error_and_never_waited_for(sent: bytes) -> None:
    with pytest.raises(WireError):
        Frames().feed(sent)


@pytest.mark.parametrize("parts", [[], ["begun", 1], ["piece", 1], ["finished", "stop"], ["exploded"]])
def test_what_is_not_an_event_is_an_error(parts: list[object]) -> None:
    with pytest.raises(WireError):
        event_from(parts)
