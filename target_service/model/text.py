"""Token ids to text pieces that are safe to send: whole characters, nothing of a stop string."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from target_service.protocol.chat import Sampling

__all__ = ["TextStream"]

# What a decoder shows for bytes that are not yet a whole character.
INCOMPLETE = "\N{REPLACEMENT CHARACTER}"


class _Decodes(Protocol):
    tokens_max: int

    def is_end(self, token: int) -> bool: ...

    def text_of(self, tokens: Sequence[int]) -> str: ...


class TextStream:
    """Feed it tokens; it returns text deltas and says when and why the answer ended.

    Only the tokens since the last whole piece are decoded again, so long answers stay linear.
    """

    def __init__(self, generation: _Decodes, sampling: Sampling) -> None:
        self._generation = generation
        self._sampling = sampling
        self._window: list[int] = []
        self._shown = 0
        self._held = ""
        self._hold_back = max((len(stop) for stop in sampling.stop), default=1) - 1
        self.tokens = 0
        self.finish_reason: str | None = None

    def feed(self, token: int) -> str:
        """Take the next token; return the text that can be sent now (may be empty)."""
        self.tokens += 1
        if self._generation.is_end(token) and not self._sampling.ignore_eos:
            self.finish_reason = "stop"
            return self._release(everything=True)
        self._held += self._delta(token)
        cut = self._stop_at()
        if cut is not None:
            self._held = self._held[:cut]
            self.finish_reason = "stop"
        elif self.tokens >= self._generation.tokens_max:
            self.finish_reason = "length"
        return self._release(everything=self.finish_reason is not None)

    def _delta(self, token: int) -> str:
        self._window.append(token)
        text = self._generation.text_of(self._window)
        if text.endswith(INCOMPLETE) and len(self._window) < 8:
            return ""
        delta = text[self._shown :]
        # The last token stays as context: some tokenizers join a space to what came before.
        self._window = [token]
        self._shown = len(self._generation.text_of(self._window))
        return delta

    def _stop_at(self) -> int | None:
        found = [self._held.find(stop) for stop in self._sampling.stop]
        return min((at for at in found if at >= 0), default=None)

    def _release(self, *, everything: bool) -> str:
        keep = 0 if everything else self._hold_back
        cut = len(self._held) - keep
        if cut <= 0:
            return ""
        out, self._held = self._held[:cut], self._held[cut:]
        return out
