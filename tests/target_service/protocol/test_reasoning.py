"""Thought and answer: the same parts however the text is cut into pieces."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_service.protocol.reasoning import Plain, Splitter, ThoughtSplitter, answer_in, whole

TEXTS = {
    "<think>a b</think>c": {"reasoning_content": "a b", "content": "c"},
    "\n<think>\na\nb</think>\n\nc\n": {"reasoning_content": "a\nb", "content": "c\n"},
    "<think></think>c": {"content": "c"},
    "<think>never closed": {"reasoning_content": "never closed", "content": ""},
    "<think>ends in a half</thi": {"reasoning_content": "ends in a half</thi", "content": ""},
    "\n no thought, 1 < 2": {"content": "\n no thought, 1 < 2"},
    "<thin": {"content": "<thin"},
    "a <think>late</think>": {"content": "a <think>late</think>"},
    "": {"content": ""},
}


def streamed(splitter: Splitter, pieces: list[str]) -> dict[str, str]:
    message = {"content": ""}
    for delta in [delta for piece in pieces for delta in splitter.feed(piece)] + splitter.end():
        assert len(delta) == 1 and all(delta.values())
        for key, text in delta.items():
            message[key] = message.get(key, "") + text
    return message


@pytest.mark.parametrize("text", TEXTS)
def test_a_whole_text_is_split_at_its_tags(text: str) -> None:
    assert whole(ThoughtSplitter(), text) == TEXTS[text]
    assert answer_in(text) == TEXTS[text]["content"]


@given(st.sampled_from(sorted(TEXTS)), st.lists(st.integers(0, 40)))
def test_a_stream_gives_the_same_parts_wherever_it_is_cut(text: str, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[a:b] for a, b in pairwise(edges)]
    assert streamed(ThoughtSplitter(), pieces) == TEXTS[text]


def test_a_thought_is_sent_while_it_is_thought() -> None:
    splitter = ThoughtSplitter()
    assert splitter.feed("<think>one") == [{"reasoning_content": "one"}]
    assert splitter.feed(" two</") == [{"reasoning_content": " two"}]
    assert splitter.feed("think>three") == [{"content": "three"}]


def test_where_the_prompt_has_opened_the_thought_the_text_begins_inside_it() -> None:
    assert whole(ThoughtSplitter(thinking=True), "\na</think>b") == {"reasoning_content": "a", "content": "b"}


def test_a_service_that_does_not_think_sends_tags_as_they_are() -> None:
    assert whole(Plain(), "<think>a</think>b") == {"content": "<think>a</think>b"}
