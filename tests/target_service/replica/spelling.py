"""A decoder that needs no network, and requests for it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from typing import Any

from target_service.protocol.chat import ChatRequest, Message, Sampling
from target_service.replica.engine import Event, Failed, Finished
from target_service.replica.settings import EngineSettings

FAST = EngineSettings(token_cost_s=0, queue_max=3, active_max=2)


class Counting:
    """Says its prompt's letters one by one; every step waits for `gate`."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.stepped = threading.Event()
        self.fails_after: int | None = None

    def begin(self, messages: Sequence[Message], sampling: Sampling) -> Any:
        if messages[0].content == "boom":
            raise ValueError("boom")
        return Spelling(self, messages[0].content, sampling.max_tokens)


class Spelling:
    def __init__(self, decoder: Counting, text: str, tokens_max: int) -> None:
        self._decoder, self._left = decoder, [*text.encode(), 0]
        self.text = text
        self._steps = 0
        self.prompt_tokens, self.tokens_max = len(text), tokens_max

    def step(self) -> int:
        self._decoder.stepped.set()
        assert self._decoder.gate.wait(10)
        self._steps += 1
        if self._decoder.fails_after is not None and self._steps > self._decoder.fails_after:
            raise RuntimeError("CUDA error")
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]

    def is_end(self, token: int) -> bool:
        return token == 0

    def text_of(self, tokens: Sequence[int]) -> str:
        return bytes(tokens).decode()


class Sharing(Counting):
    """As Counting, with one pass for all; a prompt that begins with "bad" fails at its second token."""

    def __init__(self) -> None:
        super().__init__()
        self.passes = 0

    def step_together(self, generations: Sequence[Spelling]) -> list[int | Exception]:
        self.passes += bool(generations)
        return [self._stepped(generation) for generation in generations]

    def _stepped(self, generation: Spelling) -> int | Exception:
        token = generation.step()
        return RuntimeError("poison") if generation.text == "bad" and token == ord("a") else token


def ask(text: str, max_tokens: int = 50, *, ignore_eos: bool = False) -> ChatRequest:
    sampling = Sampling(max_tokens=max_tokens, ignore_eos=ignore_eos)
    return ChatRequest((Message("user", text),), sampling, stream=False, include_usage=False)


def last(events: queue.SimpleQueue[Event]) -> list[Event]:
    seen = [events.get(timeout=10)]
    while not isinstance(seen[-1], Finished | Failed):
        seen.append(events.get(timeout=10))
    return seen
