"""The rules for a complete 2xx answer. The broken ones are in test_outcomes, through the real child."""

from __future__ import annotations

import json

import pytest

from harness.load.answer import StreamAnswer, judge_json
from harness.model.request import Outcome


def body(**changes: object) -> bytes:
    answer = {
        "choices": [{"message": {"content": " blue\n"}, "finish_reason": "stop"}],
        "usage": {"completion_tokens": 2},
    }
    return json.dumps({**answer, **changes}).encode()


def test_a_known_answer_is_compared_without_the_space_around_it() -> None:
    good = judge_json(body(), "blue")
    assert (good.outcome, good.checked, good.tokens) == (Outcome.OK, True, 2)
    wrong = judge_json(body(), "red")
    assert (wrong.outcome, wrong.checked) == (Outcome.WRONG_ANSWER, True)


def test_an_unknown_answer_is_not_checked() -> None:
    assert judge_json(body(), None).outcome is Outcome.OK
    assert not judge_json(body(), None).checked


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"", "bad_json"),
        (b"\xff", "bad_json"),
        (b"[]", "no_answer"),
        (b"null", "no_answer"),
        (body(choices=[]), "no_answer"),
        (body(choices=[{"message": {"content": None}}]), "no_answer"),
        (body(choices=[{"message": {"content": "blue"}, "finish_reason": {}}]), "finish_reason={}"),
        (body(error={"message": "x"}), "error_event"),
        (b'{"object":"error","message":"x"}', "error_event"),
    ],
)
def test_an_answer_that_is_none_is_truncated(data: bytes, detail: str) -> None:
    judged = judge_json(data, "blue")
    assert (judged.outcome, judged.detail, judged.checked) == (Outcome.TRUNCATED, detail, False)


def test_an_answer_without_usage_or_finish_reason_is_still_one() -> None:
    judged = judge_json(body(usage=None, choices=[{"message": {"content": "blue"}}]), "blue")
    assert (judged.outcome, judged.tokens) == (Outcome.OK, None)


def event(content: str | None = None, finish: str | None = None) -> str:
    delta = {} if content is None else {"content": content}
    return f"data: {json.dumps({'choices': [{'delta': delta, 'finish_reason': finish}]})}\n\n"


def test_a_stream_may_be_cut_into_pieces_anywhere() -> None:
    text = f": ping\n\n{event('')}{event('bl')}{event('ué')}{event(finish='length')}data: [DONE]\n\n".encode()
    for size in (1, 7, 1000):
        stream = StreamAnswer()
        for at in range(0, len(text), size):
            stream.feed(text[at : at + size], float(at))
        judged = stream.judge("blué")
        assert (judged.outcome, judged.tokens) == (Outcome.OK, 2)


def test_gaps_are_between_tokens_and_not_after_the_last() -> None:
    stream = StreamAnswer()
    for text, at_s in ((event("a"), 1.0), (event("b"), 1.5), (event("c"), 1.75), (event(finish="stop"), 9.0)):
        stream.feed(text.encode(), at_s)
    stream.feed(b"data: [DONE]\n\n", 9.0)
    assert (stream.first_token_s, stream.gap_max_s) == (1.0, 0.5)
    assert stream.judge(None).outcome is Outcome.OK


def test_a_usage_event_has_no_choices() -> None:
    stream = StreamAnswer()
    text = event("a") + event(finish="stop") + 'data: {"choices": [], "usage": {}}\n\ndata: {}\n\ndata:[DONE]\n\n'
    stream.feed(text.encode(), 0.0)
    assert stream.judge(None).outcome is Outcome.OK


def test_events_of_the_wrong_shape_do_not_break_the_reader() -> None:
    for bad in ("[]", "3", '{"choices": 3}', '{"choices": [3]}', '{"choices": [{"delta": 3}]}'):
        stream = StreamAnswer()
        stream.feed(f"{event('a')}data: {bad}\n\n{event(finish='stop')}data: [DONE]\n\n".encode(), 0.0)
        assert (stream.judge(None).outcome, stream.judge(None).detail) == (Outcome.TRUNCATED, "bad_event")


def test_a_whole_stream_without_content_is_a_wrong_answer_when_the_right_one_is_known() -> None:
    lines = (event(finish="stop") + "data: [DONE]\n\n").encode()
    for golden, outcome in (("hello", Outcome.WRONG_ANSWER), (None, Outcome.TRUNCATED)):
        stream = StreamAnswer()
        stream.feed(lines, 0.0)
        assert stream.judge(golden).outcome == outcome
