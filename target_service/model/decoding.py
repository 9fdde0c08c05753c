"""Prompt in, one token per step out: the KV-cache loop that builder and replica share.

`Decoder` hides torch, so that the engine around it can be tested without a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from target_service.model.text import TextStream
from target_service.protocol.chat import Message, Sampling
from target_service.protocol.errors import RequestRejectedError

if TYPE_CHECKING:
    from target_service.model.shared_passes import SharedPasses

__all__ = ["Answer", "Decoder", "Generation", "SharingDecoder", "TorchDecoder", "generate", "step_together", "stepped"]

PIECES_KEPT = 8192


class Generation(Protocol):
    """One answer in the making."""

    prompt_tokens: int
    tokens_max: int

    def step(self) -> int:
        """Compute and return the next token id."""

    def logits_finite(self) -> bool:
        """Whether what the last step chose its token from held neither NaN nor infinity."""

    def is_end(self, token: int) -> bool:
        """Whether the token ends the answer."""

    def text_of(self, tokens: Sequence[int]) -> str:
        """Decode token ids without special tokens."""


class Decoder(Protocol):
    """A loaded model."""

    def begin(self, messages: Sequence[Message], sampling: Sampling) -> Generation:
        """Tokenize the prompt; raise RequestRejectedError (400) if it does not fit the model."""


@runtime_checkable
class SharingDecoder(Protocol):
    """A loaded model whose generations can share a forward pass."""

    def step_together(self, generations: Sequence[Any]) -> list[int | Exception]:
        """Each one's next token id, or what it failed with.

        What is kept for one that is not named any more is forgotten; named again, it goes on all the same.
        """


def step_together(decoder: Decoder, generations: Sequence[Generation]) -> list[int | Exception]:
    """Each one's next token id, or what it failed with: in one pass if the decoder can, else one after the other."""
    if not isinstance(decoder, SharingDecoder):
        return [stepped(generation) for generation in generations]
    try:
        return decoder.step_together(generations)
    except Exception as error:  # noqa: BLE001  whatever it is, it may be one request's
        if len(generations) == 1:
            return [error]
    return [outcome for one in generations for outcome in step_together(decoder, [one])]


def stepped(generation: Generation) -> int | Exception:
    """The next token, or what its step raised: the others of a round must not hear of it."""
    try:
        return generation.step()
    except Exception as error:  # noqa: BLE001  one that raises fails alone
        return error


@dataclass(frozen=True)
class Answer:
    """A finished answer; `finish_reason` is `stop` or `length`."""

    text: str
    tokens: int
    finish_reason: str


def generate(decoder: Decoder, messages: Sequence[Message], sampling: Sampling) -> Answer:
    """Run one generation to its end; the engine does the same steps, interleaved."""
    generation = decoder.begin(messages, sampling)
    stream = TextStream(generation, sampling)
    parts: list[str] = []
    while stream.finish_reason is None:
        parts.append(stream.feed(generation.step()))
    return Answer("".join(parts), stream.tokens, stream.finish_reason)


class TorchDecoder:
    """A transformers causal language model and its tokenizer. Use it from one thread only."""

    def __init__(self, network: Any, tokenizer: Any, *, check_length: bool = True) -> None:
        self.check_length = check_length
        self.network = network
        self.tokenizer = tokenizer
        self.positions_max = int(network.config.get_text_config().max_position_embeddings)
        ends = network.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        self.ends = frozenset(end for end in (*ends, tokenizer.eos_token_id) if end is not None)
        # The same few pieces are asked for again and again, and decoding one costs as much as a small matrix product.
        self.text_of = lru_cache(PIECES_KEPT)(self._text_of)
        self._shared: SharedPasses | None = None

    def begin(self, messages: Sequence[Message], sampling: Sampling) -> TorchGeneration:
        """Tokenize with the model's chat template and check the length."""
        if any(message.images for message in messages):
            raise RequestRejectedError(400, "This model takes text only, no images.", param="messages")
        ids = self.tokenized([{"role": message.role, "content": message.content} for message in messages])
        self.check_fits(ids)
        return TorchGeneration(self, ids, sampling)

    def tokenized(self, turns: Sequence[dict[str, Any]]) -> list[int]:
        """The conversation as token ids, up to where the answer begins."""
        prompt = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        # JSON can carry half of a character, which no tokenizer takes.
        if any("\ud800" <= character <= "\udfff" for character in prompt):
            raise RequestRejectedError(400, "The text holds half of a surrogate pair.", param="messages")
        ids: list[int] = self.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        return ids

    def check_fits(self, ids: Sequence[int]) -> None:
        """Refuse a prompt that leaves no room for an answer; raises RequestRejectedError (400)."""
        # RoPE extrapolates without an error, so nobody but the server would notice.
        if self.check_length and len(ids) >= self.positions_max:
            raise RequestRejectedError(
                400,
                f"This model's context is {self.positions_max} tokens; the prompt has {len(ids)}.",
                param="messages",
                code="context_length_exceeded",
            )

    def step_together(self, generations: Sequence[TorchGeneration]) -> list[int | Exception]:
        """One forward pass for all whose prompt is computed, and one for the new ones."""
        from target_service.model.shared_passes import SharedPasses, can_share

        if not can_share(self.network.config):
            return [stepped(generation) for generation in generations]
        # One with a step of its own (it has images to show, say) needs more than its token ids.
        shared = [one for one in generations if type(one).step is TorchGeneration.step]
        if self._shared is None:
            self._shared = SharedPasses(self.network)
        try:
            outcomes = dict(zip(shared, self._shared.step(shared), strict=True))
        except Exception:
            # Whatever state it is in, the next step begins with a new one.
            self._shared = None
            raise
        return [outcomes[one] if one in outcomes else stepped(one) for one in generations]

    def _text_of(self, tokens: tuple[int, ...]) -> str:
        text: str = self.tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text


class TorchGeneration:
    """One answer: stepped alone it has a KV cache of its own, else a row of the decoder's shared one.

    `context` is the prompt and what was generated so far, as token ids.
    """

    _finite: bool | None = None

    def __init__(self, decoder: TorchDecoder, ids: list[int], sampling: Sampling) -> None:
        self._decoder = decoder
        self.context = list(ids)
        self._cache: Any = None
        self._logits: Any = None
        self._sampling = sampling
        self._random = _generator(sampling)
        self.prompt_tokens = len(ids)
        self.tokens_max = sampling.max_tokens
        if decoder.check_length:
            self.tokens_max = min(self.tokens_max, decoder.positions_max - len(ids))

    def step(self) -> int:
        """One forward pass: the whole prompt the first time, one token after that."""
        import torch

        with torch.inference_mode():
            out = self._decoder.network(
                input_ids=torch.tensor([self.context if self._cache is None else self.context[-1:]]),
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=1,
            )
            self._cache = out.past_key_values
            logits = out.logits[0, -1]
            return self.take(logits, int(logits.argmax()))

    def take(self, logits: Any, likeliest: int, *, finite: bool | None = None) -> int:
        """Choose the next token from its logits (vocabulary); `finite` if that is known of them already."""
        self._logits, self._finite = logits, finite
        token = likeliest if self._sampling.temperature == 0 else self._draw(logits)
        self.context.append(token)
        return token

    def _draw(self, logits: Any) -> int:
        import torch

        chances = (logits.float() / self._sampling.temperature).softmax(-1)
        if self._sampling.top_p < 1:
            ordered, order = chances.sort(descending=True)
            # Keep the smallest set whose mass reaches top_p; the likeliest token always stays.
            ordered[ordered.cumsum(-1) - ordered >= self._sampling.top_p] = 0
            chances = torch.zeros_like(chances).scatter(-1, order, ordered)
        return int(torch.multinomial(chances, 1, generator=self._random))

    def logits_finite(self) -> bool:
        """Whether the last logits are finite; true before the first."""
        if self._finite is not None:
            return self._finite
        return self._logits is None or bool(self._logits.isfinite().all())

    def is_end(self, token: int) -> bool:
        """Whether the token is one of the model's end tokens."""
        return token in self._decoder.ends

    def text_of(self, tokens: Sequence[int]) -> str:
        """Decode without special tokens."""
        return self._decoder.text_of(tuple(tokens))


def _generator(sampling: Sampling) -> Any:
    """What draws the tokens; None for a greedy answer."""
    if sampling.temperature == 0:
        return None
    import torch

    generator = torch.Generator()
    if sampling.seed is not None:
        generator.manual_seed(sampling.seed)
    else:
        generator.seed()
    return generator
