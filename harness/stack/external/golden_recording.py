"""Golden answers of a target whose right answers nobody knows: what it says itself while it is healthy and idle.

Each prompt is asked twice, one question at a time. Where the two answers differ, the answer is no fixed one and is not
checked. How often the others differ under load, since real engines vary with the batch, is seen in the run's baseline.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.model.errors import StackError
from harness.model.plan import Prompt
from harness.record.clock import Clock
from harness.stack.external.endpoint import Endpoint, Reply
from harness.stack.look import chat_body

__all__ = ["Recorded", "Recording", "chat_body", "record", "text_of"]

PAGE_S = 2.0
ANSWER_S = 60.0  # an idle engine that needs longer for a few tokens is not ready
REFUSED = {400: "it does not take this request", 401: "it wants a key", 403: "the key does not open it",
           404: "there is no such path or model", 422: "it does not take this request"}  # fmt: skip
REMEDY = "set external.model and external.api_key_env, or see its log"


@dataclass(frozen=True)
class Recorded:
    """What was found out."""

    prompts: Mapping[str, tuple[Prompt, ...]]  # with answers, where they were the same twice
    asked: int
    reproducible: int
    ends_with_done: bool


def text_of(reply: Reply) -> str | None:
    """The answer's text; None: it holds none."""
    body: Any = reply.json()
    try:
        text = body["choices"][0]["message"]["content"]
    except (LookupError, TypeError):
        return None
    return text if isinstance(text, str) else None


def record(
    at: tuple[Endpoint, str | None, Clock],
    prompts: Mapping[str, tuple[Prompt, ...]],
    say: Callable[[str], None],
    go_on: Callable[[], bool],
) -> Recorded:
    """Ask every prompt twice. `say` hears how it goes; `go_on` is asked before each question.

    Raises StackError when the server will not answer: a status that says so, or no text in a good answer.
    """
    total, done, found = sum(len(one) for one in prompts.values()), 0, {}
    for name, some in prompts.items():
        answered = []
        for prompt in some:
            say(f"golden answers: {done} of {total} recorded")
            first, second = (_answer(at, prompt, say, go_on) for _ in range(2))
            answered.append(replace(prompt, answer=first if first.strip() == second.strip() else None))
            done += 1
        found[name] = tuple(answered)
    shortest = min((one for some in prompts.values() for one in some), key=lambda one: one.max_tokens)
    reproducible = sum(one.answer is not None for some in found.values() for one in some)
    return Recorded(found, total, reproducible, _ends_with_done(at, shortest))


def _answer(
    at: tuple[Endpoint, str | None, Clock], prompt: Prompt, say: Callable[[str], None], go_on: Callable[[], bool]
) -> str:
    endpoint, model, clock = at
    while go_on():
        body = chat_body(prompt, model)
        reply = endpoint.ask(clock, "POST", "/v1/chat/completions", within_s=ANSWER_S, body=body)
        text = text_of(reply) if reply.good else None
        if text is not None:
            return text
        if reply.good or reply.status in REFUSED:
            why = REFUSED.get(reply.status or 0, "no text in its answer")
            raise StackError(f"{endpoint.url}: a chat failed with status {reply.status}: {why}; {REMEDY}")
        say(f"a real answer: {reply.words}")
        clock.sleep(0.5)
    raise StackError("stopped before the golden answers were recorded")


def _ends_with_done(at: tuple[Endpoint, str | None, Clock], prompt: Prompt) -> bool:
    """Whether its streams end in [DONE]: most do. One that does not stream is judged by what most do."""
    endpoint, model, clock = at
    body = chat_body(prompt, model, stream=True)
    reply = endpoint.ask(clock, "POST", "/v1/chat/completions", within_s=ANSWER_S, body=body)
    return b"data: [DONE]" in reply.data or b'"finish_reason"' not in reply.data


class Recording:
    """The golden answers, recorded in a thread: a slow engine must not hold up Ctrl-C."""

    def __init__(
        self, endpoint: Endpoint, model: str | None, prompts: Mapping[str, tuple[Prompt, ...]], clock: Clock
    ) -> None:
        self.done: Recorded | None = None
        self.model = model
        self._endpoint, self._prompts, self._clock = endpoint, prompts, clock
        self._said = "golden answers: not begun"
        self._error: StackError | None = None
        self._go_on = True
        threading.Thread(target=self._work, name="golden-recording", daemon=True).start()

    def missing(self) -> str | None:
        """None: recorded. Raises StackError when the target will not answer."""
        if self._error is not None:
            raise self._error
        return None if self.done else self._said

    def stop(self) -> None:
        self._go_on = False

    def _say(self, text: str) -> None:
        self._said = text

    def _work(self) -> None:
        try:
            self.model = self.model or _first_model(self._endpoint, self._clock)
            at = (self._endpoint, self.model, self._clock)
            self.done = record(at, self._prompts, self._say, lambda: self._go_on)
        except StackError as error:
            self._error = error


def _first_model(endpoint: Endpoint, clock: Clock) -> str | None:
    """The first that the server lists; None: it lists none, and takes requests without a name."""
    body = endpoint.ask(clock, "GET", "/v1/models", within_s=PAGE_S).json()
    try:
        name = body["data"][0]["id"]
    except (LookupError, TypeError):
        return None
    return name if isinstance(name, str) else None
