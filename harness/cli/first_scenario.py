"""The first scenario for somebody's own server, written from what it offers. Pure."""

from __future__ import annotations

import json

from harness.stack.external.endpoint import Endpoint
from harness.stack.external.offer import Offer

__all__ = ["first_scenario"]

BUSY_SHARE = 0.3  # of what one request after the other could do: a first run should not be an overload test
RATE_MAX, RATE_MIN = 5.0, 0.2
BASELINE_N = 40  # twice what is needed to call a baseline steady


def first_scenario(endpoint: Endpoint, offer: Offer, name: str) -> str:
    """YAML, with a comment on everything that was found out."""
    rate = round(min(RATE_MAX, max(RATE_MIN, BUSY_SHARE / max(offer.chat_s, 0.001))), 1)
    deadline_s = max(2, round(5 * offer.chat_s))
    baseline_s = max(15, round(BASELINE_N / rate))
    mix = "{chat_stream: 0.7, sentiment: 0.3}" if offer.streams else "{chat: 0.7, sentiment: 0.3}"
    lines = [
        "# When the connection to it is slow, and then fails, users are served again within 5 s, with right answers.",
        "#",
        f"# Written by 'harness init' from what the server offers: an answer took {offer.chat_s:.2f} s,",
        f"# models: {', '.join(offer.models[:5]) or 'none listed'}; {_of_answers(offer)}",
        f"name: {name}",
        "external:",
        f"  url: {endpoint.url}",
        *_line("model", offer.model),
        *_line("api_key_env", endpoint.api_key_env),
        *_line("ca_file", endpoint.ca_file),
        f"  health: {_or_null(offer.health)}   # alive? any 2xx",
        f"  ready: {_or_null(offer.ready)}   # can serve? any 2xx",
        "  golden_every_s: 10   # a real answer, compared with those recorded before the load",
        "  max_tokens: 16",
        f"load: {{rate_per_s: {rate:g}, deadline_s: {deadline_s}, mix: {mix}}}",
        f"phases: {{baseline_s: {baseline_s}, recovery_s: 15}}",
        "faults:   # `harness faults` lists all; those of processes need external.containers, see `harness init -h`",
        "  - {kind: network.latency, on: gateway, latency_ms: 300, for_s: 5}",
        "  - {kind: network.down, on: gateway, at_s: 10, for_s: 3}",
        "observe:",
        "  recovery_s: {max: 18}   # from the first fault's begin: 13 s of faults, and 5 s",
        "  wrong_answers: {max: 0}",
    ]
    return "\n".join(lines) + "\n"


def _of_answers(offer: Offer) -> str:
    repeats = "the same prompt got the same answer" if offer.repeats else "the same prompt got different answers"
    if not offer.streams:
        return f"no token streams; {repeats}."
    return f"token streams {'with' if offer.ends_with_done else 'without'} a [DONE]; {repeats}."


def _line(key: str, value: str | None) -> list[str]:
    return [] if value is None else [f"  {key}: {json.dumps(value)}"]


def _or_null(value: str | None) -> str:
    return "null" if value is None else value
