"""What replicas and gateway say and accept on the wire."""

from __future__ import annotations

from typing import Any

import pytest

from target_service.model.text import TextStream
from target_service.protocol import sse
from target_service.protocol.chat import Sampling, parse_chat
from target_service.protocol.counting import DistinctCounter
from target_service.protocol.errors import RequestRejectedError

USER = {"messages": [{"role": "user", "content": "hi"}]}


def test_defaults_are_greedy_and_unknown_keys_are_ignored() -> None:
    request = parse_chat({**USER, "cache_salt": "x", "logprobs": True}, "m")
    assert request.sampling == Sampling()
    assert not request.stream


def test_text_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert parse_chat({"messages": [{"role": "user", "content": parts}]}, "m").messages[0].content == "ab"


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        pytest.param({"messages": []}, 400, "messages", id="no message"),
        pytest.param({"messages": [{"role": "pope", "content": ""}]}, 400, "messages[0].role", id="role"),
        pytest.param({"messages": [{"role": "user"}]}, 400, "messages[0].content", id="no content"),
        pytest.param({"max_tokens": 0}, 400, "max_tokens", id="no tokens"),
        pytest.param({"max_tokens": True}, 400, "max_tokens", id="a bool is no number"),
        pytest.param({"temperature": 9}, 400, "temperature", id="too hot"),
        pytest.param({"stream": "yes"}, 400, "stream", id="a string is no flag"),
        pytest.param({"n": 2}, 400, "n", id="two choices"),
        pytest.param({"stop": [""]}, 400, "stop", id="empty stop"),
        pytest.param({"model": "other"}, 404, "model", id="other model"),
    ],
)
def test_a_bad_request_is_refused_by_name(change: dict[str, Any], status: int, param: str) -> None:
    with pytest.raises(RequestRejectedError) as caught:
        parse_chat({**USER, **change}, "m")
    assert (caught.value.status, caught.value.param) == (status, param)
    assert caught.value.body()["error"]["param"] == param


def test_an_event_is_one_line_whatever_it_holds() -> None:
    assert sse.event({"a": "x\n\ny"}) == b'data: {"a":"x\\n\\ny"}\n\n'


def test_ids_are_counted_once_within_the_memory_it_has() -> None:
    counter = DistinctCounter(remembered=2)
    assert [counter.add(i) for i in ("a", "a", "b", "c", "a")] == [True, False, True, True, True]
    assert counter.count == 4


class Letters:
    """Token n is the byte n; 0 is the end."""

    tokens_max = 5

    def is_end(self, token: int) -> bool:
        return token == 0

    def text_of(self, tokens: Any) -> str:
        return bytes(tokens).decode("utf-8", errors="replace")


def _feed(text: bytes, **sampling: Any) -> tuple[list[str], str | None]:
    stream = TextStream(Letters(), Sampling(**sampling))
    pieces = [stream.feed(token) for token in text if stream.finish_reason is None]
    return pieces, stream.finish_reason


def test_half_a_character_is_held_until_it_is_whole() -> None:
    assert _feed("aé\0".encode()) == (["a", "", "é", ""], "stop")


def test_an_answer_ends_at_its_longest_length() -> None:
    assert _feed(b"abcdefg") == (["a", "b", "c", "d", "e"], "length")


def test_nothing_of_a_stop_string_is_shown() -> None:
    pieces, reason = _feed(b"abxy", stop=("xy",))
    assert ("".join(pieces), reason) == ("ab", "stop")
