"""The fake stack's links: what each toxic does to users, to the gateway's beats and to a look, as a script."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from harness.model.request import Outcome
from harness.record.journal import Inverse
from harness.stack.links import DOWN, Ask, Look, Seen, Toxic

__all__ = ["LINKS", "Effect", "FakeLinks", "Over"]

T = TypeVar("T")

LINKS: Mapping[str, str] = {
    "gateway": "scripted, from the users",
    "primary": "scripted, from the gateway",
    "standby": "scripted, from the gateway",
}
USERS = "gateway"  # the one link that no beat passes
BEAT_S = 0.25  # a beat that takes longer is missed
GOOD = Seen(connected=True, answered=True, status=200, first_byte_s=0.01, last_byte_s=0.01, closed_s=0.01, sent=400)
PAGE = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 20_000
STREAM = b"data: a\n\ndata: b\n\ndata: c\n\ndata: [DONE]\n\n"


@dataclass(frozen=True)
class Effect:
    """On one request: how it ends (None: as it would anyway) and how much later."""

    outcome: Outcome | None = None
    delay_s: float = 0.0
    status: int | None = None


class FakeLinks:
    """`beats_reach` is told whether the gateway's beats pass the link to a replica; `gateway_page` is what the gateway
    says of itself."""

    def __init__(
        self, beats_reach: Callable[[str, bool], None], gateway_page: Callable[[], bytes] = lambda: PAGE
    ) -> None:
        self._gateway_page = gateway_page
        self._beats_reach = beats_reach
        self._toxics: dict[str, dict[str, Toxic]] = {name: {} for name in LINKS}
        self._asked: dict[str, int] = {}  # requests that each toxic has met, for its share

    def add(self, link: str, toxic: Toxic) -> None:
        self._toxics[link][toxic.name] = toxic
        if link != USERS and _beats_fail(toxic):
            self._beats_reach(link, False)

    def remove(self, link: str, toxic: Toxic) -> None:
        gone = self._toxics[link].pop(toxic.name, None)
        still_cut = any(map(_beats_fail, self._toxics[link].values()))
        if gone is not None and link != USERS and _beats_fail(gone) and not still_cut:
            self._beats_reach(link, True)

    def has(self, link: str, toxic: Toxic) -> bool:
        return toxic.name in self._toxics[link]

    def inverse(self, link: str, toxic: Toxic) -> Inverse:
        return Inverse("nothing", {"because": "a scripted link ends with its run", "link": link, "toxic": toxic.name})

    def look(self, link: str, ask: Ask, *, past: bool) -> Look:
        page = self._gateway_page() if ask.page != Ask().page else PAGE
        whole = replace(GOOD, data=STREAM if ask.stream else page * ask.repeat)
        toxics = [] if past else [toxic for toxic in self._toxics[link].values() if self._hits(toxic)]
        for toxic in toxics:
            whole = SEEN_THROUGH[toxic.type](toxic, whole)
        return Over(whole)

    def effect(self, link: str, *, stream: bool) -> Effect:
        """On a user's request that passes the link now; the first toxic that decides its end decides all."""
        delay_s = 0.0
        for toxic in self._toxics[link].values():
            if self._hits(toxic):
                one = _effect(toxic, stream=stream)
                if one.outcome is not None:
                    return one
                delay_s += one.delay_s
        return Effect(delay_s=delay_s)

    def _hits(self, toxic: Toxic) -> bool:
        """Evenly spread: of n requests the share `toxicity`, whichever n."""
        before = self._asked.get(toxic.name, 0)
        self._asked[toxic.name] = before + 1
        return int((before + 1) * toxic.toxicity) > int(before * toxic.toxicity)


@dataclass(frozen=True)
class Over(Generic[T]):
    """A look, or another question, that is over at once."""

    what: T

    def seen(self) -> T:
        return self.what


def _number(toxic: Toxic, name: str) -> int:
    return int(toxic.attributes.get(name, 0))


def _beats_fail(toxic: Toxic) -> bool:
    late = toxic.type == "latency" and _number(toxic, "latency") / 1000 >= BEAT_S
    return late or toxic.type in (DOWN, "reset_peer", "timeout", "blackhole", "http_status", "corrupt")


def _effect(toxic: Toxic, *, stream: bool) -> Effect:
    """Toxics of streams leave other requests alone; what is in none of the tables is not felt by one request."""
    if toxic.type.startswith("sse_") and not stream:
        return Effect()
    if toxic.type == "http_status":
        return Effect(Outcome.HTTP_ERROR, status=_number(toxic, "status"))
    if delay_ms := _number(toxic, DELAYS.get(toxic.type, "")):
        return Effect(delay_s=delay_ms / 1000)
    return Effect(OUTCOMES.get(toxic.type))


def _at(toxic: Toxic, seen: Seen) -> Seen:
    at_s = (seen.first_byte_s or 0) + _number(toxic, "latency") / 1000
    return replace(seen, first_byte_s=at_s, last_byte_s=at_s, closed_s=at_s)


def _slowly(toxic: Toxic, seen: Seen) -> Seen:
    carried = seen.sent if toxic.stream == "upstream" else len(seen.data)
    return replace(seen, last_byte_s=(seen.last_byte_s or 0) + carried / 1000 / _number(toxic, "rate"))


def _cut(toxic: Toxic, seen: Seen) -> Seen:
    if not seen.events:
        return seen
    return replace(seen, data=b"".join([b"data: a\n\n"] * _number(toxic, "events")), answered=False)


def _halted(toxic: Toxic, seen: Seen) -> Seen:
    if not seen.events:
        return seen
    stall_s = _number(toxic, "stall") / 1000
    return replace(seen, gap_max_s=stall_s) if stall_s else replace(_cut(toxic, seen), closed_s=None, last_byte_s=0.0)


OUTCOMES = {
    DOWN: Outcome.REFUSED,
    "reset_peer": Outcome.REFUSED,
    "timeout": Outcome.TIMEOUT,
    "blackhole": Outcome.TIMEOUT,
    "corrupt": Outcome.WRONG_ANSWER,
    "sse_truncate": Outcome.TRUNCATED,
    "sse_stall": Outcome.DEADLINE_MISSED,
}
DELAYS = {"latency": "latency", "sse_stall": "stall"}  # type -> the attribute that is one
SEEN_THROUGH: Mapping[str, Callable[[Toxic, Seen], Seen]] = {
    DOWN: lambda _, __: Seen(connected=False, refused=True),
    "reset_peer": lambda _, __: Seen(connected=True, reset=True),
    "timeout": lambda _, __: Seen(connected=True),
    "blackhole": lambda _, __: Seen(connected=True),
    "latency": _at,
    "bandwidth": _slowly,
    "slow_close": lambda toxic, seen: replace(seen, closed_s=(seen.closed_s or 0) + _number(toxic, "delay") / 1000),
    "http_status": lambda toxic, seen: replace(seen, status=_number(toxic, "status")),
    "corrupt": lambda _, seen: replace(seen, data=b"?" + seen.data[1:]),
    "sse_truncate": _cut,
    "sse_stall": _halted,
}
