"""Faults of a link, one class per kind: which toxic it is, and what a look sees of it. How it goes: link_fault.py."""

from __future__ import annotations

import re

from harness.faults.link_fault import SHARE, LinkFault
from harness.model.network_faults import (
    NetworkBandwidth,
    NetworkBlackhole,
    NetworkCorrupt,
    NetworkHttpStatus,
    NetworkLatency,
    NetworkReset,
    NetworkSlowClose,
    NetworkSseStall,
    NetworkSseTruncate,
    NetworkTimeout,
)
from harness.stack.links import DOWN, Ask, Seen, Toxic

__all__ = [
    "Blackhole",
    "Corrupt",
    "CutDown",
    "Delay",
    "NarrowBand",
    "ResetConnections",
    "SlowClose",
    "StallStream",
    "StatusAnswer",
    "Swallow",
    "TruncateStream",
]

SILENCE_S = 1.0  # without a byte, while the other look is answered
PAGES_MAX = 64  # of a look that needs many bytes
NARROW_S = 0.3  # how long a look at a narrow link should take
NUMBERS = re.compile(rb"[0-9.:]+")  # times and counts differ between two equal answers


class CutDown(LinkFault):
    """The link's proxy closes its port and its connections."""

    def make_toxic(self, name: str) -> Toxic:
        return Toxic(name, DOWN)

    def evidence(self, through: Seen, past: Seen) -> str | None:
        return f"a connection was refused; {_answered(past)}" if through.refused else None


class Delay(LinkFault):
    """The toxic `latency`."""

    def make_toxic(self, name: str) -> Toxic:
        fault = self.parameters(NetworkLatency)
        return self.toxic_of(name, "latency", fault.stream, latency=fault.latency_ms, jitter=fault.jitter_ms)

    def ask(self) -> Ask:
        fault = self.parameters(NetworkLatency)
        return Ask(limit_s=SILENCE_S + 2 * (fault.latency_ms + fault.jitter_ms) / 1000)

    def evidence(self, through: Seen, past: Seen) -> str | None:
        fault = self.parameters(NetworkLatency)
        if through.first_byte_s is None or past.first_byte_s is None:
            return None
        added_s = through.first_byte_s - past.first_byte_s
        if not self.shows(added_s, (fault.latency_ms - fault.jitter_ms) / 1000):
            return None
        return f"an answer came {_ms(added_s)} later than past the proxy"


class Swallow(LinkFault):
    """The toxic `timeout`."""

    def make_toxic(self, name: str) -> Toxic:
        fault = self.parameters(NetworkTimeout)
        return self.toxic_of(name, "timeout", fault.stream, timeout=fault.timeout_ms)

    def ask(self) -> Ask:
        # Kept, since the end of a connection passes this toxic: a server that closes would end the silence.
        return Ask(keep=True, limit_s=SILENCE_S + self.parameters(NetworkTimeout).timeout_ms / 1000)

    def evidence(self, through: Seen, past: Seen) -> str | None:
        timeout_s = self.parameters(NetworkTimeout).timeout_ms / 1000
        if through.closed_s is not None and (timeout_s == 0 or through.closed_s < SHARE * timeout_s):
            return None
        return _silence(through, past)


class Blackhole(LinkFault):
    """The toxic `blackhole`."""

    def make_toxic(self, name: str) -> Toxic:
        return self.toxic_of(name, "blackhole", self.parameters(NetworkBlackhole).stream)

    def evidence(self, through: Seen, past: Seen) -> str | None:
        return None if through.closed_s is not None else _silence(through, past)


class ResetConnections(LinkFault):
    """The toxic `reset_peer`."""

    def make_toxic(self, name: str) -> Toxic:
        return self.toxic_of(name, "reset_peer", timeout=self.parameters(NetworkReset).after_ms)

    def ask(self) -> Ask:
        return Ask(limit_s=SILENCE_S + self.parameters(NetworkReset).after_ms / 1000)

    def evidence(self, through: Seen, past: Seen) -> str | None:
        if not through.reset or through.first_byte_s is not None:  # what was answered first was not hit
            return None
        return f"a connection was reset; {_answered(past)}"


class NarrowBand(LinkFault):
    """The toxic `bandwidth`. A look asks for as many pages as make the narrow link slow."""

    pages = 1

    def make_toxic(self, name: str) -> Toxic:
        fault = self.parameters(NetworkBandwidth)
        return self.toxic_of(name, "bandwidth", fault.stream, rate=fault.rate_kb_per_s)

    def ask(self) -> Ask:
        return Ask(repeat=self.pages, limit_s=SILENCE_S + 2 * NARROW_S)

    def evidence(self, through: Seen, past: Seen) -> str | None:
        fault = self.parameters(NetworkBandwidth)
        carried = past.sent if fault.stream == "upstream" else len(past.data)
        self.pages = max(1, min(PAGES_MAX, int(NARROW_S * 1000 * fault.rate_kb_per_s * self.pages / max(1, carried))))
        if past.last_byte_s is None or through.last_byte_s is None:
            return None
        added_s = through.last_byte_s - past.last_byte_s
        if not self.shows(added_s, min(carried / 1000 / fault.rate_kb_per_s, SILENCE_S)):
            return None
        return f"{carried:,} bytes took {_ms(added_s)} longer than past the proxy"


class SlowClose(LinkFault):
    """The toxic `slow_close`."""

    def make_toxic(self, name: str) -> Toxic:
        return self.toxic_of(name, "slow_close", delay=self.parameters(NetworkSlowClose).delay_ms)

    def ask(self) -> Ask:
        return Ask(limit_s=SILENCE_S + 2 * self.parameters(NetworkSlowClose).delay_ms / 1000)

    def evidence(self, through: Seen, past: Seen) -> str | None:
        if through.closed_s is None or through.last_byte_s is None or past.closed_s is None or past.last_byte_s is None:
            return None
        late_s = (through.closed_s - through.last_byte_s) - (past.closed_s - past.last_byte_s)
        if not self.shows(late_s, self.parameters(NetworkSlowClose).delay_ms / 1000):
            return None
        return f"a connection closed {_ms(late_s)} later after its answer than past the proxy"


class StatusAnswer(LinkFault):
    """The toxic `http_status`."""

    def make_toxic(self, name: str) -> Toxic:
        fault = self.parameters(NetworkHttpStatus)
        return self.toxic_of(name, "http_status", "upstream", status=fault.status, retry_after=fault.retry_after_s)

    def evidence(self, through: Seen, past: Seen) -> str | None:
        wanted = self.parameters(NetworkHttpStatus).status
        if through.status != wanted or past.status == wanted:
            return None
        return f"an answer had status {through.status}; past the proxy it had {past.status}"


class TruncateStream(LinkFault):
    """The toxic `sse_truncate`."""

    def make_toxic(self, name: str) -> Toxic:
        fault = self.parameters(NetworkSseTruncate)
        return self.toxic_of(name, "sse_truncate", events=fault.events, ending=fault.ending)

    def ask(self) -> Ask:
        return Ask(stream=True, limit_s=5 * SILENCE_S)

    def evidence(self, through: Seen, past: Seen) -> str | None:
        fault = self.parameters(NetworkSseTruncate)
        ended = through.reset or through.closed_s is not None
        cut_there = through.events == fault.events or (fault.ending == "finish" and through.events > fault.events)
        if through.answered or not ended or not cut_there or through.events >= past.events:
            return None
        return f"a token stream broke after {through.events} events; past the proxy it had {past.events} and its end"


class StallStream(LinkFault):
    """The toxic `sse_stall`."""

    def make_toxic(self, name: str) -> Toxic:
        fault = self.parameters(NetworkSseStall)
        return self.toxic_of(name, "sse_stall", events=fault.events, stall=fault.stall_ms)

    def ask(self) -> Ask:
        return Ask(stream=True, limit_s=2 * SILENCE_S + self.parameters(NetworkSseStall).stall_ms / 1000)

    def evidence(self, through: Seen, past: Seen) -> str | None:
        fault = self.parameters(NetworkSseStall)
        stall_s = fault.stall_ms / 1000
        if stall_s == 0:
            over = through.answered or through.closed_s is not None or through.reset
            silent_s = self.ask().limit_s - (through.last_byte_s or 0)
            if over or through.events != fault.events or silent_s < SILENCE_S:
                return None
            return f"a token stream halted after {through.events} events and did not go on; past the proxy it ended"
        if stall_s < 2 * past.gap_max_s or not self.shows(through.gap_max_s, stall_s):
            return None
        return f"a token stream halted for {_ms(through.gap_max_s)}; past the proxy for {_ms(past.gap_max_s)} at most"


class Corrupt(LinkFault):
    """The toxic `corrupt`. Only a page that stays the same from look to look can show a changed byte."""

    before: Seen | None = None

    def make_toxic(self, name: str) -> Toxic:
        fault = self.parameters(NetworkCorrupt)
        return self.toxic_of(name, "corrupt", fault.stream, flips_per_million=fault.flips_per_million)

    def ask(self) -> Ask:
        return Ask(repeat=PAGES_MAX)

    def evidence(self, through: Seen, past: Seen) -> str | None:
        before, self.before = self.before, past
        if before is None or _without_numbers(before) != _without_numbers(past) or not through.data:
            return None
        if _without_numbers(past).startswith(_without_numbers(through)):  # the same, or the same cut off
            return None
        return f"the answers to {PAGES_MAX} equal requests differed from those past the proxy, which stayed the same"


def _silence(through: Seen, past: Seen) -> str | None:
    """The request, or its answer, was swallowed, while the server was quick to answer past the proxy."""
    if not through.connected or through.reset or through.first_byte_s is not None:
        return None
    if past.first_byte_s is None or past.first_byte_s > SILENCE_S / 2:
        return None
    return f"not a byte of an answer within {_ms(through.closed_s or SILENCE_S)}; {_answered(past)}"


def _answered(past: Seen) -> str:
    return f"past the proxy the server answered after {_ms(past.first_byte_s)}"


def _without_numbers(seen: Seen) -> bytes:
    return NUMBERS.sub(b"0", seen.data)


def _ms(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1000:.0f} ms"
