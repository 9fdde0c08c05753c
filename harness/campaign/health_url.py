"""The health score of somebody else's service: what can be had without breaking it, which is the false alarms."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from harness.campaign.probing import EVERY_S, PAGES, Prober
from harness.model.errors import HarnessError
from harness.model.health import Health, Span, health_of
from harness.model.plan import Prompt
from harness.record.clock import Clock
from harness.stack.external.endpoint import endpoint_of
from harness.stack.external.links import Question
from harness.stack.http_get import get_json
from harness.stack.links import Ask
from harness.stack.look import BackgroundLook, look_at, request_bytes
from harness.stack.traffic import LocalTraffic, Strangers

__all__ = ["UrlTest", "health_of_url"]

QUIET_S = 3.0
FIRST_CHAT_S = 30.0  # a server that has just been started may load its model for it
PROMPT = Prompt(({"role": "user", "content": "Say hello."},), 8, None)
MORE_PAGES = ("/v1/models",)  # what servers that have no /health are asked for


@dataclass(frozen=True)
class UrlTest:
    """What to ask, and how hard."""

    url: str
    model: str | None = None  # default: the first that it lists
    rate_per_s: float = 10.0
    busy_s: float = 30.0


def health_of_url(test: UrlTest, clock: Clock, interrupted: Callable[[], int]) -> Health:
    """Probes that answer while it is quiet are watched while it is busy; nothing is left. Raises HarnessError."""
    place = urlsplit(test.url)
    if place.scheme != "http" or place.hostname not in ("127.0.0.1", "localhost"):
        raise HarnessError(f"{test.url}: only http://127.0.0.1:PORT, so far; forward a port to what lies elsewhere")
    port = place.port or 80
    begin = partial(_look, port, _question(test, port, clock, interrupted), clock)
    pages = {**PAGES, **{f"GET {page}": Ask(page=page) for page in MORE_PAGES}}
    quiet = Prober(pages, begin)
    _watch(quiet, clock, QUIET_S, interrupted)
    there = {name: pages[name] for name, looks in quiet.looks.items() if any(one.green for one in looks)}
    if not there:
        raise HarnessError(
            f"{test.url}: no probe is answered ({', '.join(pages)}); is an OpenAI-compatible server there?"
        )
    busy = Prober(there, begin)
    who = Strangers("health", "burst", {"rate_per_s": test.rate_per_s}, PROMPT.messages, PROMPT.max_tokens)
    traffic = LocalTraffic(f"health-{secrets.token_hex(4)}", test.url, clock)
    begin_s = clock.now()
    traffic.begin(who)
    try:
        _watch(busy, clock, test.busy_s, interrupted)
    finally:
        traffic.end(who)
    spans = [Span("busy", begin_s, clock.now())]
    probes = tuple(health_of(name, looks, spans) for name, looks in busy.looks.items())
    silent = tuple(f"{name}: no good answer while it was quiet" for name in pages if name not in there)
    broken = "hangs, is dead, answers wrongly: the harness cannot break what it did not start"
    return Health(test.url, probes, (broken, *silent))


def _watch(prober: Prober, clock: Clock, seconds: float, interrupted: Callable[[], int]) -> None:
    until_s = clock.now() + seconds
    while clock.now() < until_s and not interrupted():
        prober.poll(clock.now())
        clock.sleep(EVERY_S / 5)
    prober.poll(clock.now())


def _first_model(url: str, clock: Clock) -> str | None:
    answer = get_json(f"{url.rstrip('/')}/v1/models", clock=clock, total_s=2.0)
    listed = answer.body.get("data") if answer is not None else None
    return str(listed[0]["id"]) if isinstance(listed, list) and listed and "id" in listed[0] else None


def _question(test: UrlTest, port: int, clock: Clock, interrupted: Callable[[], int]) -> Question:
    """How this server is asked, and how its streams end: with [DONE] or, as some do, with a finish_reason alone."""
    model = test.model or _first_model(test.url, clock)
    ask = Ask(stream=True, limit_s=FIRST_CHAT_S)
    look = BackgroundLook(partial(look_at, port, ask, _request(ask, model), clock))
    while (seen := look.seen()) is None and not interrupted():
        clock.sleep(EVERY_S / 5)
    return Question(endpoint_of(test.url), "", PROMPT, model, ends_with_done=seen is None or seen.answered)


def _look(port: int, question: Question, clock: Clock, ask: Ask) -> BackgroundLook:
    request = _request(ask, question.model)
    return BackgroundLook(lambda: question.judged(ask, look_at(port, ask, request, clock)))


def _request(ask: Ask, model: str | None) -> bytes:
    request = request_bytes(ask, PROMPT)
    return _with_model(request, model) if ask.stream and model is not None else request


def _with_model(request: bytes, model: str) -> bytes:
    """The same chat for a server that wants its model named."""
    head, _, body = request.partition(b"\r\n\r\n")
    named = json.dumps({"model": model, **json.loads(body)}).encode()
    return head.replace(b"Content-Length: %d" % len(body), b"Content-Length: %d" % len(named)) + b"\r\n\r\n" + named
