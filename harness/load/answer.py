"""What an answer is worth: pure rules over the bytes of a 2xx response.

A stream counts only when it has a content delta, a finish_reason that means "finished", `[DONE]`, a clean end, and no
error event: servers report failures inside a 200.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from harness.model.request import Outcome

__all__ = ["Judgement", "StreamAnswer", "judge_json"]

_FINISHED = frozenset({"stop", "length", "eos_token", "stop_sequence"})


@dataclass(frozen=True)
class Judgement:
    """Outcome of a complete 2xx answer."""

    outcome: Outcome
    detail: str | None = None
    tokens: int | None = None
    checked: bool = False


def judge_json(body: bytes, golden: str | None) -> Judgement:
    """A whole (not streamed) chat completion."""
    try:
        answer = json.loads(body)
    except ValueError:
        return Judgement(Outcome.TRUNCATED, "bad_json")
    if _is_error(answer):
        return Judgement(Outcome.TRUNCATED, "error_event")
    tokens: int | None = None
    try:
        choice = answer["choices"][0]
        text, finish = choice["message"]["content"], choice.get("finish_reason")
        used = (answer.get("usage") or {}).get("completion_tokens")
        tokens = used if isinstance(used, int) else None
    except (LookupError, TypeError, AttributeError):
        return Judgement(Outcome.TRUNCATED, "no_answer")
    if not isinstance(text, str):
        return Judgement(Outcome.TRUNCATED, "no_answer", tokens)
    if finish is not None and str(finish) not in _FINISHED:
        return Judgement(Outcome.TRUNCATED, f"finish_reason={finish}", tokens)
    return _compare(text, golden, tokens)


class StreamAnswer:
    """A token stream as it comes in. Times are seconds on the monotonic clock."""

    def __init__(self, *, ends_with_done: bool = True) -> None:
        self._ends_with_done = ends_with_done  # False: this server never sends [DONE]
        self.first_token_s: float | None = None
        self.gap_max_s: float | None = None
        self.tokens = 0
        self._last_token_s = 0.0
        self._rest = b""
        self._pieces: list[str] = []
        self._finish: str | None = None
        self._done = False
        self._problem: str | None = None

    def feed(self, data: bytes, now_s: float) -> None:
        """Take bytes that arrived at `now_s`; tokens that arrive together have no gap between them."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            # Comments (":"), blank lines and other fields of server-sent events carry no data.
            if line.startswith(b"data:"):
                self._event(line[5:].strip(), now_s)

    def judge(self, golden: str | None) -> Judgement:
        """The verdict after a clean end of the response."""
        detail = self._problem
        if detail is None and self._finish is None:
            detail = "no_finish_reason"
        if detail is None and self._ends_with_done and not self._done:
            detail = "no_done"
        if detail is None and self._finish not in _FINISHED:
            detail = f"finish_reason={self._finish}"
        if detail is None and not self.tokens and golden is None:
            detail = "no_content"  # with a golden answer at hand, a whole but empty answer is a wrong one
        if detail is not None:
            return Judgement(Outcome.TRUNCATED, detail, self.tokens)
        return _compare("".join(self._pieces), golden, self.tokens)

    def _event(self, data: bytes, now_s: float) -> None:
        if data == b"[DONE]":
            self._done = True
            return
        try:
            event = json.loads(data)
        except ValueError:
            self._problem = self._problem or "bad_event"
            return
        if _is_error(event):
            self._problem = "error_event"  # outranks an unreadable event: it says why
            return
        try:
            choices = event.get("choices") or [{}]  # a usage event has no choices
            piece = (choices[0].get("delta") or {}).get("content")
            finish = choices[0].get("finish_reason")
        except (LookupError, TypeError, AttributeError):
            self._problem = self._problem or "bad_event"
            return
        if finish is not None:
            self._finish = str(finish)
        if isinstance(piece, str) and piece:
            self._token(piece, now_s)

    def _token(self, piece: str, now_s: float) -> None:
        self._pieces.append(piece)
        self.tokens += 1
        if self.first_token_s is None:
            self.first_token_s = now_s
        else:
            self.gap_max_s = max(self.gap_max_s or 0.0, now_s - self._last_token_s)
        self._last_token_s = now_s


def _is_error(value: Any) -> bool:
    """OpenAI's and TGI's {"error": …}, or the older flat {"object": "error", …}."""
    return isinstance(value, dict) and (bool(value.get("error")) or value.get("object") == "error")


def _compare(text: str, golden: str | None, tokens: int | None) -> Judgement:
    if golden is None:
        return Judgement(Outcome.OK, tokens=tokens)
    right = text.strip() == golden.strip()
    return Judgement(Outcome.OK if right else Outcome.WRONG_ANSWER, tokens=tokens, checked=True)
