"""What a decoder refuses before it computes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from target_service.model.decoding import TorchDecoder
from target_service.protocol.chat import Message, Sampling
from target_service.protocol.errors import RequestRejectedError


class Letters:
    """A tokenizer of letters."""

    eos_token_id = 0

    def apply_chat_template(self, turns: list[dict[str, str]], **_: Any) -> str:
        return "".join(turn["content"] for turn in turns)

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": list(text.encode())}


def decoder() -> TorchDecoder:
    config = SimpleNamespace(get_text_config=lambda: SimpleNamespace(max_position_embeddings=8))
    return TorchDecoder(SimpleNamespace(config=config, generation_config=SimpleNamespace(eos_token_id=0)), Letters())


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (Message("user", "123456789"), "context is 8 tokens; the prompt has 9"),
        (Message("user", "half \ud83d"), "half of a surrogate pair"),
        (Message("user", "look", ("AAAA",)), "text only, no images"),
    ],
)
def test_what_cannot_be_answered_is_a_400(message: Message, words: str) -> None:
    with pytest.raises(RequestRejectedError, match=words) as refused:
        decoder().begin([message], Sampling())
    assert refused.value.status == 400
