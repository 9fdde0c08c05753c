"""An answer that begins with a thought: which part of the text is which. Pure.

Reasoning models write their thought between <think> and </think>; servers with the OpenAI API send it as
`reasoning_content` and the rest as `content`.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["CLOSE", "OPEN", "Plain", "Splitter", "ThoughtSplitter", "answer_in", "whole"]

OPEN, CLOSE = "<think>", "</think>"


class Splitter(Protocol):
    """Turns pieces of text into deltas of a message."""

    def feed(self, text: str) -> list[dict[str, str]]:
        """The deltas that can be sent after this piece."""

    def end(self) -> list[dict[str, str]]:
        """What was held back; the answer is over."""


class Plain:
    """All text is the answer."""

    def feed(self, text: str) -> list[dict[str, str]]:
        """One delta of content."""
        return [{"content": text}] if text else []

    def end(self) -> list[dict[str, str]]:
        """Nothing is ever held back."""
        return []


class ThoughtSplitter:
    """Feed it pieces, however they are cut: a tag is recognised across them, and never sent.

    With `thinking` the text begins inside the thought, as where the chat template has opened it.
    """

    def __init__(self, *, thinking: bool = False) -> None:
        self._held = ""
        self._thinking = thinking
        self._begun = thinking
        # Line ends right behind a tag belong to the tag.
        self._behind_tag = thinking

    def feed(self, text: str) -> list[dict[str, str]]:
        """Deltas of `reasoning_content` and `content`; what may be the begin of a tag waits."""
        self._held += text
        if not self._begun and not self._begin(last=False):
            return []
        deltas = []
        if self._thinking:
            thought, close, rest = self._held.partition(CLOSE)
            if not close:
                keep = _overlap(thought, CLOSE)
                self._held = thought[len(thought) - keep :]
                return self._delta(thought[: len(thought) - keep])
            deltas = self._delta(thought)
            self._thinking, self._behind_tag, self._held = False, True, rest
        text, self._held = self._held, ""
        return [*deltas, *self._delta(text)]

    def end(self) -> list[dict[str, str]]:
        """The rest; a thought that was never closed stays a thought."""
        if not self._begun:
            self._begin(last=True)
        text, self._held = self._held, ""
        return self._delta(text)

    def _begin(self, *, last: bool) -> bool:
        """Find out whether the text opens a thought; False if it is too short to tell."""
        start = self._held.lstrip()
        if start.startswith(OPEN):
            self._thinking, self._behind_tag, self._held = True, True, start[len(OPEN) :]
        elif OPEN.startswith(start) and not last:
            return False
        self._begun = True
        return True

    def _delta(self, text: str) -> list[dict[str, str]]:
        if self._behind_tag:
            text = text.lstrip("\n")
        if not text:
            return []
        self._behind_tag = False
        return [{"reasoning_content" if self._thinking else "content": text}]


def whole(splitter: Splitter, text: str) -> dict[str, str]:
    """The fields of a message that was not streamed; `content` is always there."""
    message = {"content": ""}
    for delta in (*splitter.feed(text), *splitter.end()):
        for key, value in delta.items():
            message[key] = message.get(key, "") + value
    return message


def answer_in(text: str) -> str:
    """The answer of a text that may begin with a thought."""
    return whole(ThoughtSplitter(), text)["content"]


def _overlap(text: str, tag: str) -> int:
    """How many characters at the end of the text may be the begin of the tag."""
    return next((n for n in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:n])), 0)
