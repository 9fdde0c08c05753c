"""Logits that are no numbers: served without a word, counted, or refused."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from target_service.protocol.errors import RequestRejectedError
from target_service.replica.engine import Engine, Event, Failed, Finished
from target_service.replica.nan_guard import NanGuard, NanGuardMode
from target_service.replica.settings import parse_arguments
from tests.target_service.replica.spelling import FAST, ask, last


class Broken:
    """As a model with one NaN in its weights: greedy decoding gives token 0 for ever, sampling raises."""

    prompt_tokens, tokens_max = 1, 3

    def __init__(self, *, finite: bool = False, sampling: bool = False) -> None:
        self._finite, self._sampling = finite, sampling

    def begin(self, *_: Any) -> Any:
        return self

    def step(self) -> int:
        if self._sampling:
            raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
        return 0

    def is_end(self, token: int) -> bool:
        return False

    def text_of(self, tokens: Sequence[int]) -> str:
        return "!" * len(tokens)

    def logits_finite(self) -> bool:
        return self._finite


def served(mode: NanGuardMode, decoder: Broken) -> tuple[Event, int]:
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    engine = Engine(decoder, replace(FAST, nan_guard=mode))
    engine.start()
    engine.submit(ask("a"), events.put)
    end = last(events)[-1]
    engine.stop()
    return end, engine.nan_guard.non_finite_total


def test_off_serves_nonsense_and_counts_nothing() -> None:
    end, found = served("off", Broken())
    assert (type(end), found) == (Finished, 0)


def test_count_serves_the_same_nonsense_and_counts_each_step() -> None:
    end, found = served("count", Broken())
    assert (type(end), found) == (Finished, 3)


@pytest.mark.parametrize("sampling", [True, False])
def test_abort_fails_the_request_at_its_first_step(*, sampling: bool) -> None:
    end, found = served("abort", Broken(sampling=sampling))
    assert isinstance(end, Failed)
    assert (end.rejected.status, end.rejected.code, found) == (500, "non_finite", 1)


@pytest.mark.parametrize("mode", ["off", "count", "abort"])
def test_a_model_whose_logits_are_finite_is_left_alone(mode: NanGuardMode) -> None:
    end, found = served(mode, Broken(finite=True))
    assert (type(end), found) == (Finished, 0)


def test_an_error_that_has_nothing_to_do_with_it_passes_through() -> None:
    with pytest.raises(RuntimeError, match="probability"):
        NanGuard("abort").step(Broken(finite=True, sampling=True))
    with pytest.raises(RequestRejectedError):
        NanGuard("abort").step(Broken(sampling=True))


def test_it_is_off_by_default() -> None:
    assert parse_arguments(["--model", "m", "--port", "1"]).engine.nan_guard == "off"


@pytest.mark.model
def test_a_real_generation_tells_nan_from_numbers() -> None:
    import torch

    from target_service.model.decoding import TorchGeneration

    generation = TorchGeneration.__new__(TorchGeneration)
    for value, finite in ((1.0, True), (float("nan"), False), (float("-inf"), False)):
        generation._logits = torch.tensor([0.5, value])
        assert generation.logits_finite() is finite
    generation._logits = None
    assert generation.logits_finite()
