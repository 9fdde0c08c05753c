"""What a foreign server offers, found out by asking: models, streams, health paths, and how long an answer takes."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from harness.model.errors import StackError
from harness.model.plan import Prompt
from harness.record.clock import Clock
from harness.stack.external.endpoint import Endpoint, Reply
from harness.stack.external.golden_recording import ANSWER_S, REFUSED, chat_body, text_of
from harness.stack.external.prompts import CHAT

__all__ = ["Offer", "ask_what_it_offers"]

# vLLM, TGI, SGLang, llama.cpp, LitServe; BentoML; KServe and Triton; Ray Serve; SageMaker's contract
HEALTH = ("/health", "/healthz", "/livez", "/v2/health/live", "/-/healthz", "/ping")
READY = ("/ready", "/readyz", "/v2/health/ready", "/v1/models")
NOT_THERE = "/harness-asks-for-no-such-page"
PAGE_S = 2.0
ANSWERS = 3


@dataclass(frozen=True)
class Offer:
    """`health`, `ready`: the first path of those known that answers with a 2xx; None: there is none."""

    health: str | None
    ready: str | None
    model: str | None
    models: tuple[str, ...]
    chat_s: float  # median of a few answers, asked one after the other
    repeats: bool  # the same prompt got the same answer each time
    streams: bool
    ends_with_done: bool


def ask_what_it_offers(endpoint: Endpoint, model: str | None, max_tokens: int, clock: Clock) -> Offer:
    """Raises StackError, with the remedy, when nobody answers there or no chat is answered."""
    listed = endpoint.ask(clock, "GET", "/v1/models", within_s=PAGE_S)
    if listed.status is None:
        raise StackError(f"{endpoint.url}: {listed.problem}; is the server up, and is this its address?")
    models = _names(listed)
    chosen = model or (models[0] if models else None)
    prompt = Prompt(({"role": "user", "content": CHAT[0]},), max_tokens, None)
    times, texts = [], set()
    for _ in range(ANSWERS):
        begin_s = clock.now()
        texts.add(_chat(endpoint, prompt, chosen, clock))
        times.append(clock.now() - begin_s)
    stream = endpoint.ask(
        clock, "POST", "/v1/chat/completions", within_s=ANSWER_S, body=chat_body(prompt, chosen, stream=True)
    )
    says_all = endpoint.ask(clock, "GET", NOT_THERE, within_s=PAGE_S).good  # then a 2xx says nothing of a path
    return Offer(
        health=None if says_all else _first(endpoint, HEALTH, clock),
        ready=None if says_all else _first(endpoint, READY, clock),
        model=chosen,
        models=models,
        chat_s=median(times),
        repeats=len(texts) == 1,
        streams=stream.good and b"data:" in stream.data and b'"delta"' in stream.data,
        ends_with_done=b"data: [DONE]" in stream.data,
    )


def _chat(endpoint: Endpoint, prompt: Prompt, model: str | None, clock: Clock) -> str:
    reply = endpoint.ask(clock, "POST", "/v1/chat/completions", within_s=ANSWER_S, body=chat_body(prompt, model))
    text = text_of(reply) if reply.good else None
    if text is None:
        why = REFUSED.get(reply.status or 0, "no text in its answer" if reply.good else reply.words)
        raise StackError(f"{endpoint.url}: POST /v1/chat/completions: {why}; try --model, --api-key-env or --ca-file")
    return text.strip()


def _first(endpoint: Endpoint, paths: tuple[str, ...], clock: Clock) -> str | None:
    return next((path for path in paths if endpoint.ask(clock, "GET", path, within_s=PAGE_S).good), None)


def _names(reply: Reply) -> tuple[str, ...]:
    body: Any = reply.json() if reply.good else None
    rows = body.get("data") if isinstance(body, dict) else None
    names = [row.get("id") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return tuple(name for name in names if isinstance(name, str))
