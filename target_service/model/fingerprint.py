"""fingerprint.json: how likely a healthy model finds each token of known texts.

Golden answers are deaf to small damage: 100 flipped bits, a pruned layer or another activation can leave every greedy
answer as it was. Log-probabilities are not. On one machine they repeat to the bit, and padding or batching moves them
by 1.2e-6 (measured), so a tolerance of 1e-4 separates noise from damage. Reading needs no torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from target_service.model.golden import GoldenPrompt

__all__ = ["FINGERPRINT", "TOLERANCE", "Fingerprint", "KnownText", "deviation", "read_fingerprint", "take_fingerprint",
           "token_logprobs"]  # fmt: skip

FINGERPRINT = "fingerprint.json"
TOLERANCE = 1e-4


@dataclass(frozen=True)
class KnownText:
    """A conversation with its answer, and the natural logarithm of each token's probability after the first."""

    messages: tuple[dict[str, str], ...]
    answer: str
    logprobs: tuple[float, ...]


@dataclass(frozen=True)
class Fingerprint:
    """Texts and how a healthy model of `dtype` sees them; more than `tolerance` away from it is damage."""

    dtype: str
    tolerance: float
    texts: tuple[KnownText, ...]

    def body(self) -> dict[str, Any]:
        """What fingerprint.json holds."""
        texts = [{"messages": list(t.messages), "answer": t.answer, "logprobs": list(t.logprobs)} for t in self.texts]
        return {"dtype": self.dtype, "tolerance": self.tolerance, "texts": texts}


def read_fingerprint(path: Path) -> Fingerprint | None:
    """Read fingerprint.json; None if the file does not exist; ValueError if it is not one."""
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_text("utf-8"))
        texts = tuple(
            KnownText(tuple(e["messages"]), str(e["answer"]), tuple(float(value) for value in e["logprobs"]))
            for e in data["texts"]
        )
        return Fingerprint(str(data["dtype"]), float(data["tolerance"]), texts)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path.name} is not a fingerprint ({error!r})") from error


def deviation(expected: Sequence[float], got: Sequence[float]) -> float:
    """The greatest distance between two fingerprints of a text; infinity for another length or NaN."""
    if len(expected) != len(got):
        return math.inf
    distances = [abs(one - other) for one, other in zip(expected, got, strict=True)]
    return math.inf if any(map(math.isnan, distances)) else max(distances, default=0.0)


def take_fingerprint(decoder: Any, prompts: Sequence[GoldenPrompt]) -> Fingerprint:
    """The fingerprint of a model that is known to be healthy."""
    texts = tuple(
        KnownText(p.messages, p.answer, tuple(token_logprobs(decoder, p.messages, p.answer))) for p in prompts
    )
    return Fingerprint(dtype_of(decoder.network), TOLERANCE, texts)


def dtype_of(network: Any) -> str:
    """The parameters' type by its short name, e.g. float32."""
    return str(network.dtype).removeprefix("torch.")


def token_logprobs(decoder: Any, messages: Sequence[dict[str, str]], answer: str) -> list[float]:
    """One forward pass over prompt and answer: the log-probability of every token given those before it.

    Prompt tokens count as well: training taught the model nothing about them, so little holds them in place.
    """
    import torch

    tokenizer = decoder.tokenizer
    prompt = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
    ids = torch.tensor([tokenizer(prompt + answer, add_special_tokens=False)["input_ids"]])
    with torch.inference_mode():
        logits = decoder.network(input_ids=ids, use_cache=False).logits[0, :-1]
        chances = logits.double().log_softmax(-1).gather(-1, ids[0, 1:, None])[:, 0]
    return [round(value, 7) for value in chances.tolist()]
