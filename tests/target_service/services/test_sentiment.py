"""/predict of All-in-One, on a real socket."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from target_service.data.sentiment import INSTRUCTION
from target_service.protocol.chat import Message
from target_service.protocol.errors import RequestRejectedError
from target_service.services.sentiment import label_in
from tests.target_service.services.service import serving

pytestmark = pytest.mark.process


def critic(messages: Sequence[Message]) -> str:
    assert messages[0].content == INSTRUCTION
    return "Positive." if "good" in messages[1].content else "negative" if "bad" in messages[1].content else "hm"


@pytest.mark.parametrize(
    ("features", "prediction"),
    [("a good film", "positive"), (["good", "bad", "good"], ["positive", "negative", "positive"])],
)
async def test_one_sentence_gives_one_prediction_and_a_list_gives_a_list(
    tmp_path: Path, features: Any, prediction: Any
) -> None:
    async with serving("all-in-one", tmp_path, critic) as service:
        assert await service.post("/predict", {"features": features}) == (200, {"prediction": prediction})
        assert service.state.counters.answered == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[" * 100_000, 400),
        ([], 422),
        ({}, 422),
        ({"features": []}, 422),
        ({"features": ""}, 422),
        ({"features": 5}, 422),
        ({"features": ["a", None]}, 422),
        ({"features": ["a"] * 33}, 413),
    ],
)
async def test_a_bad_request_is_refused_in_one_sentence(tmp_path: Path, body: Any, status: int) -> None:
    async with serving("all-in-one", tmp_path, critic) as service:
        got, text = await service.post_text("/predict", body)
        assert got == status and '"message": "' in text
        assert service.decoder.asked == []


async def test_an_answer_without_a_sentiment_is_no_prediction(tmp_path: Path) -> None:
    async with serving("all-in-one", tmp_path, critic) as service:
        status, body = await service.post("/predict", {"features": ["good", "neither"]})
        assert (status, body["error"]["code"]) == (500, "no_prediction")
        assert service.state.counters.answered == 0


async def test_a_full_queue_is_said_to_whoever_predicts(tmp_path: Path) -> None:
    async with serving("all-in-one", tmp_path, critic, queue_max=1) as service:
        service.decoder.gate.clear()
        sentences = ["good"] * 32
        pending = service.client.post("/predict", json={"features": sentences})
        async with pending as response:
            assert response.status == 429 and response.headers["Retry-After"] == "1"
        service.decoder.gate.set()


async def test_other_services_do_not_predict(tmp_path: Path) -> None:
    async with serving("autoglm", tmp_path, critic) as service:
        assert (await service.post("/predict", {"features": "good"}))[0] == 404


def test_the_label_named_first_counts() -> None:
    assert label_in("It is NEGATIVE, not positive") == "negative"
    with pytest.raises(RequestRejectedError, match="'unpositively', which is no sentiment"):
        label_in("unpositively")
