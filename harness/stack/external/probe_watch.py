"""Three probes of a foreign target, each by itself: is it alive, is it ready, does it give the right answer.

They go past the proxy, as those of an orchestrator would. What is written down is each change, so that a report can say
for how long which probe stayed green while users were losing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from harness.model.event import Event
from harness.model.plan import Prompt
from harness.record.clock import Clock
from harness.stack.external.endpoint import Endpoint, Reply
from harness.stack.external.golden_recording import chat_body, text_of

__all__ = ["Probe", "ProbeWatch", "golden_probe", "page_probe"]

TICK_S = 0.05


@dataclass(frozen=True)
class Probe:
    """`ask` returns None when all is well, else what is wrong, in words that hold nothing of the answer."""

    name: str  # health, ready, golden
    every_s: float
    ask: Callable[[], str | None]


def page_probe(name: str, path: str, every_s: float, at: tuple[Endpoint, Clock]) -> Probe:
    """Any 2xx is good."""
    endpoint, clock = at

    def ask() -> str | None:
        return _wrong(endpoint.ask(clock, "GET", path, within_s=every_s))

    return Probe(name, every_s, ask)


def golden_probe(prompts: tuple[Prompt, ...], model: str | None, every_s: float, at: tuple[Endpoint, Clock]) -> Probe:
    """A real generation, the prompts in turn. One whose answer is not known only has to be answered."""
    endpoint, clock = at
    turn = 0

    def ask() -> str | None:
        nonlocal turn
        prompt = prompts[turn % len(prompts)]
        turn += 1
        body = chat_body(prompt, model)
        reply = endpoint.ask(clock, "POST", "/v1/chat/completions", within_s=every_s, body=body)
        if (wrong := _wrong(reply)) is not None:
            return wrong
        text = text_of(reply)
        if text is None:
            return "no text in its answer"
        if prompt.answer is not None and text.strip() != prompt.answer.strip():
            return "another answer than the one that was recorded"
        return None

    return Probe("golden", every_s, ask)


def _wrong(reply: Reply) -> str | None:
    return None if reply.good else reply.words


class ProbeWatch:
    """A thread for each probe, so that one that hangs holds up no other. `take` never waits."""

    def __init__(self, probes: tuple[Probe, ...], clock: Clock, origin_s: float) -> None:
        self._clock = clock
        self._origin_s = origin_s
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self._asked: dict[str, int] = {}
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._watch, args=(probe,), name=f"probe-{probe.name}", daemon=True)
            for probe in probes
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Asks nothing more; a question under way is left to its own limit."""
        self._over.set()

    def take(self) -> list[Event]:
        """Changes since the last call, as `probe.red` and `probe.green`."""
        with self._lock:
            taken, self._events = self._events, []
        return taken

    @property
    def asked(self) -> Mapping[str, int]:
        """How often each was asked."""
        with self._lock:
            return dict(self._asked)

    def _watch(self, probe: Probe) -> None:
        was: str | None = ""  # neither green nor any red
        while not self._over.is_set():
            begin_s = self._clock.now()
            wrong = probe.ask()
            if self._over.is_set():
                return
            with self._lock:
                self._asked[probe.name] = self._asked.get(probe.name, 0) + 1
                if was == "" or (wrong is None) != (was is None):
                    kind = "probe.green" if wrong is None else "probe.red"
                    more = {} if wrong is None else {"reason": wrong}
                    at_s = self._clock.now() - self._origin_s
                    self._events.append(Event(at_s, kind, {"probe": probe.name, **more}))
            was = wrong
            self._over.wait(max(TICK_S, begin_s + probe.every_s - self._clock.now()))
