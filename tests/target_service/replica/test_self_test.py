"""What a new engine is asked before users are."""

from __future__ import annotations

import pytest

from target_service.model.golden import Golden, GoldenPrompt
from target_service.model.loading import BadModelError
from target_service.replica.engine import Engine
from target_service.replica.self_test import ask_golden, warm_up
from target_service.replica.settings import parse_arguments
from tests.target_service.replica.spelling import FAST, Counting


@pytest.mark.parametrize("tokens", [0, 2, 16])
def test_a_warm_up_generates_exactly_its_tokens(tokens: int) -> None:
    engine = Engine(Counting(), FAST)
    engine.start()
    warm_up(engine, tokens)
    engine.stop()
    assert engine.tokens_total == tokens


def test_two_tokens_are_generated_by_default() -> None:
    assert parse_arguments(["--model", "m", "--port", "1"]).warmup_tokens == 2


@pytest.mark.parametrize("answer", ["hi", "ho"])
def test_a_wrong_golden_answer_is_a_bad_model(answer: str) -> None:
    engine = Engine(Counting(), FAST)
    engine.start()
    golden = Golden("m", (GoldenPrompt("echo", ({"role": "user", "content": "hi"},), 9, answer),), None)
    try:
        if answer == "hi":
            ask_golden(engine, golden)
        else:
            with pytest.raises(BadModelError, match="golden: 'hi' is answered 'hi', not 'ho'"):
                ask_golden(engine, golden)
    finally:
        engine.stop()
