"""Rules over a sliding window of the logs: so many lines that match within so many seconds (seed 96)."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from harness.model.log_evidence import LogRecord, LogRule, RuleHit

__all__ = ["BUILT_IN", "RuleWatch"]

_ONCE = {
    "a server ran out of memory": "out of memory|oom-kill|oom_kill|cannot allocate memory|memoryerror",
    "a disk is full": "no space left on device|disk quota exceeded",
    "a program's error with its stack": "most recent call last|unhandled exception|panic:",
    "a process was killed or crashed": "sigkill|sigsegv|sigabrt|sigbus|segmentation fault|core dumped",
    "a model is refused": "model is not served|sha256 differs|checksum|corrupt",
}
BUILT_IN: tuple[LogRule, ...] = (
    *(LogRule(name=name, pattern=pattern) for name, pattern in _ONCE.items()),
    LogRule(name="a replica was missed", pattern="missed a beat|upstream timed out", at_least=3, within_s=5),
    LogRule(
        name="connections fail", pattern="connection refused|connection reset|cannot connect|broken pipe", at_least=5
    ),
    LogRule(name="a process starts again and again", pattern="listening on|spawned:", at_least=3, within_s=60),
    LogRule(name="errors in a row", pattern="error|critical|fatal", at_least=10),
)
HITS_MAX = 100  # shown; the rest is counted
EXAMPLE_MAX = 200
_PLAIN = re.compile(r"[A-Za-z0-9_ :,/|'-]+")  # a pattern of nothing but words and choices between them


def _test(pattern: str) -> Callable[[str, str], bool]:
    """Of a line and the same in lower case. Plain words are looked for as such, which is several times as fast."""
    if _PLAIN.fullmatch(pattern):
        words = pattern.lower().split("|")
        return lambda _, lower: any(word in lower for word in words)
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda text, _: compiled.search(text) is not None


@dataclass
class _State:
    """Of one rule and one log."""

    newest: deque[tuple[float, str]]  # times and texts of the last matching lines, as many as the rule wants
    hit: RuleHit | None = None


@dataclass
class RuleWatch:
    """Holds every line against the rules. Memory grows with rules and logs, not with lines. Times: the run's clock."""

    rules: Sequence[LogRule]
    begin_s: float  # of the schedule
    end_s: float
    left_out: int = 0  # hits beyond HITS_MAX
    _hits: list[RuleHit] = field(default_factory=list)
    _states: dict[tuple[int, str], _State] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._tests = [(rule, _test(rule.pattern)) for rule in self.rules]

    def add(self, record: LogRecord) -> None:
        """Hold a line against every rule; one from outside the schedule is passed over."""
        if not self.begin_s <= record.at_s <= self.end_s:
            return
        in_access = record.source.endswith(".access.log")
        lower = record.text.lower()
        for number, (rule, matches) in enumerate(self._tests):
            if (rule.access or not in_access) and matches(record.text, lower):
                self._matched(number, rule, record)

    def found(self) -> tuple[RuleHit, ...]:
        """Every time a rule held, by time; to be asked once, after the last line."""
        for state in self._states.values():
            self._close(state)
        return tuple(sorted(self._hits, key=lambda hit: (hit.begin_s, hit.rule, hit.source)))

    def _matched(self, number: int, rule: LogRule, record: LogRecord) -> None:
        state = self._states.setdefault((number, record.source), _State(deque(maxlen=rule.at_least)))
        state.newest.append((record.at_s, record.text))
        first_s, text = state.newest[0]
        holds = len(state.newest) == rule.at_least and record.at_s - first_s <= rule.within_s
        hit = state.hit
        if hit is not None and record.at_s - self.begin_s - hit.end_s <= rule.within_s:
            state.hit = replace(hit, end_s=round(record.at_s - self.begin_s, 3), lines=hit.lines + 1)
        elif holds:
            self._close(state)
            begin_s, end_s = (round(at - self.begin_s, 3) for at in (first_s, record.at_s))
            state.hit = RuleHit(rule.name, record.source, begin_s, end_s, rule.at_least, text[:EXAMPLE_MAX])

    def _close(self, state: _State) -> None:
        if state.hit is not None and len(self._hits) < HITS_MAX:
            self._hits.append(state.hit)
        elif state.hit is not None:
            self.left_out += 1
        state.hit = None
