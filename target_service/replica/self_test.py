"""What a new engine is asked before users are: golden prompts, and tokens to warm it up."""

from __future__ import annotations

import queue

from target_service.model.golden import Golden
from target_service.model.loading import BadModelError
from target_service.protocol.chat import parse_chat
from target_service.protocol.reasoning import answer_in
from target_service.replica.engine import Engine, Event, Failed, Finished, Piece

__all__ = ["ask_golden", "warm_up"]

PROMPTS = 4
TIMEOUT_S = 30.0


def ask_golden(engine: Engine, golden: Golden) -> None:
    """Ask some golden prompts of every task; raises BadModelError at the first wrong answer."""
    rotation = golden.rotation()
    for _ in range(PROMPTS):
        prompt = next(rotation)
        got = answer_in(_ask(engine, "golden", prompt.body()))
        if got != prompt.answer:
            raise BadModelError(f"golden: {prompt.question!r} is answered {got!r}, not {prompt.answer!r}")


def warm_up(engine: Engine, tokens: int) -> None:
    """Generate that many tokens: the first forward pass is much slower than all others."""
    if tokens > 0:
        prompt = [{"role": "user", "content": "Hello"}]
        _ask(engine, "warm-up", {"messages": prompt, "max_tokens": tokens, "ignore_eos": True})


def _ask(engine: Engine, step: str, body: dict[str, object]) -> str:
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    engine.submit(parse_chat(body, ""), events.put)
    text = ""
    while True:
        try:
            event = events.get(timeout=TIMEOUT_S)
        except queue.Empty:
            raise BadModelError(f"{step}: no answer within {TIMEOUT_S:g} s") from None
        if isinstance(event, Failed):
            raise BadModelError(f"{step}: {event.rejected.message}")
        if isinstance(event, Piece):
            text += event.text
        if isinstance(event, Finished):
            return text
