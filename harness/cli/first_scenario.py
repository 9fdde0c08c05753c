"""The first scenario for somebody's own server, written from what it offers. Pure.

How fast a server answers decides the rate, and the rate how long everything takes: an outage that no user meets, or a
limit that lies between two requests, says nothing.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from harness.experiment import START_UP_S
from harness.model.errors import HarnessError
from harness.model.external import External
from harness.model.scenario import Scenario
from harness.plan.timeline import windows
from harness.stack.external.endpoint import Endpoint
from harness.stack.external.offer import Offer
from harness.stack.external.prompts import CHAT, prompts_of

__all__ = ["SLOWEST_S", "first_scenario", "run_length_s"]

BUSY_SHARE = 0.3  # of what one request after the other could do: a first run should not be an overload test
GOLDEN_SHARE = 0.1  # of it, beside the users
RATE_MAX = 5.0
EVEN_BELOW = 0.7  # requests a second; a warm-up of 20 s cannot compare two windows of fewer
BASELINE_N, EVEN_BASELINE_N = 40, 25  # twice what is needed to call a baseline steady; by chance some are missing
MET_BY_N = 5  # users in each fault: of chance five, none is there in 1 % of runs
SERVED_AGAIN_S = 5.0
RECORDING_S = START_UP_S - 20.0  # of that time, for the right answers
ASKED = 2  # times each prompt, and one stream, before the load
SLOWEST_S = 30.0  # an answer; one prompt can be recorded then


@dataclass(frozen=True)
class _Pace:
    """What follows from the time that an answer takes. All in seconds, but for `rate_per_s`."""

    rate_per_s: float
    even: bool  # instead of by chance
    baseline_s: int
    slow_s: int  # the first fault
    pause_s: int
    down_s: int  # the second
    back_s: int  # after it, users are served again, and seen to be
    recovery_s: int

    @property
    def down_at_s(self) -> int:
        return self.slow_s + self.pause_s

    @property
    def faults_s(self) -> int:
        return self.down_at_s + self.down_s


def first_scenario(endpoint: Endpoint, offer: Offer, name: str) -> str:
    """YAML, with a comment on everything that was found out. Raises HarnessError for a server that is too slow."""
    if offer.chat_s > SLOWEST_S:
        raise HarnessError(
            f"{endpoint.url}: an answer took {offer.chat_s:.0f} s; above {SLOWEST_S:g} s its right answers cannot be "
            f"recorded in the {START_UP_S:g} s that a target has to be ready: try a smaller model, or a faster host"
        )
    pace = _pace_of(offer.chat_s)
    arrivals = ", arrivals: constant" if pace.even else ""
    lines = [
        "# When the connection to it is slow, and then fails, users are served again within "
        f"{pace.back_s} s, with right answers.",
        "#",
        f"# Written by 'harness init' from what the server offers: an answer took {offer.chat_s:.2f} s,",
        f"# models: {', '.join(offer.models[:5]) or 'none listed'}; {_of_answers(offer)}",
        *(_OF_SLOW_ONES if pace.even else ()),
        f"name: {name}",
        "external:",
        f"  url: {endpoint.url}",
        *_line("model", offer.model),
        *_line("api_key_env", endpoint.api_key_env),
        *_line("ca_file", endpoint.ca_file),
        f"  health: {_or_null(offer.health)}   # alive? any 2xx",
        f"  ready: {_or_null(offer.ready)}   # can serve? any 2xx",
        f"  golden_every_s: {max(10, math.ceil(offer.chat_s / GOLDEN_SHARE))}   # a real answer, compared with those "
        "recorded before the load",
        "  max_tokens: 16",
        *_prompts(offer),
        f"load: {{rate_per_s: {pace.rate_per_s:g}{arrivals}, deadline_s: {_deadline_s(offer)}, mix: {_mix(offer)}}}",
        f"phases: {{baseline_s: {pace.baseline_s}, recovery_s: {pace.recovery_s}}}",
        *(["warmup_max_s: 0"] if pace.even else []),
        "faults:   # `harness faults` lists all; those of processes need external.containers, see `harness init -h`",
        f"  - {{kind: network.latency, on: gateway, latency_ms: 300, for_s: {pace.slow_s}}}",
        f"  - {{kind: network.down, on: gateway, at_s: {pace.down_at_s}, for_s: {pace.down_s}}}",
        "observe:",
        f"  recovery_s: {{max: {pace.faults_s + pace.back_s}}}   # from the first fault's begin: {pace.faults_s} s of "
        f"faults, and {pace.back_s} s: {SERVED_AGAIN_S:g} s, three requests and an answer",
        "  wrong_answers: {max: 0}",
    ]
    return "\n".join(lines) + "\n"


def run_length_s(scenario: Scenario, chat_s: float) -> float:
    """How long a run of it takes: recording the right answers, the longest warm-up, the schedule."""
    sets = prompts_of(scenario.external or External(), scenario.load.output_tokens)
    answers = ASKED * sum(len(prompts) for prompts in sets.values()) + 1
    return answers * chat_s + scenario.warmup_max_s + windows(scenario)[-1].end_s


_OF_SLOW_ONES = (
    "# So few requests are sent that they are evenly spaced: by chance a fault could be met by none. Nothing warms it",
    "# up but the recording of its right answers, since at this rate a warm-up takes minutes.",
)


def _pace_of(chat_s: float) -> _Pace:
    rate = _two_digits(min(RATE_MAX, BUSY_SHARE / max(chat_s, 0.001)))
    even = rate < EVEN_BELOW
    gap_s = 1 / rate
    met_s = math.ceil(MET_BY_N * gap_s)
    back_s = math.ceil(SERVED_AGAIN_S + 3 * gap_s + chat_s)
    return _Pace(
        rate_per_s=rate,
        even=even,
        baseline_s=max(15, math.ceil((EVEN_BASELINE_N if even else BASELINE_N) * gap_s)),
        slow_s=max(5, met_s),
        pause_s=max(5, math.ceil(gap_s + chat_s)),
        down_s=max(3, met_s),
        back_s=back_s,
        recovery_s=max(15, back_s + math.ceil(3 * gap_s + 2 * chat_s)),  # who is not served by then is seen to be not
    )


def _two_digits(number: float) -> float:
    """The two leading digits; never more than the number."""
    step = 10.0 ** (math.floor(math.log10(number)) - 1)
    return round(math.floor(number / step + 1e-9) * step, 9)


def _deadline_s(offer: Offer) -> int:
    return max(2, math.ceil(5 * offer.chat_s))


def _usual_prompts_fit(offer: Offer) -> bool:
    answers = ASKED * sum(len(prompts) for prompts in prompts_of(External(), None).values()) + 1
    return answers * offer.chat_s <= RECORDING_S


def _prompts(offer: Offer) -> list[str]:
    """Fewer than usual, of a server that could not answer them all before the load."""
    if _usual_prompts_fit(offer):
        return []
    fit = max(1, math.floor((RECORDING_S / offer.chat_s - 1) / ASKED))
    return [
        "  prompts:   # so many can be recorded before the load",
        f"    chat: {json.dumps(CHAT[:fit])}",
    ]


def _mix(offer: Offer) -> str:
    chat = "chat_stream" if offer.streams else "chat"
    return f"{{{chat}: 0.7, sentiment: 0.3}}" if _usual_prompts_fit(offer) else f"{{{chat}: 1}}"


def _of_answers(offer: Offer) -> str:
    repeats = "the same prompt got the same answer" if offer.repeats else "the same prompt got different answers"
    if not offer.streams:
        return f"no token streams; {repeats}."
    return f"token streams {'with' if offer.ends_with_done else 'without'} a [DONE]; {repeats}."


def _line(key: str, value: str | None) -> list[str]:
    return [] if value is None else [f"  {key}: {json.dumps(value)}"]


def _or_null(value: str | None) -> str:
    return "null" if value is None else value
