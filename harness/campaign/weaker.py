"""Which way each number of a fault is weaker. A name stands for every kind that has it, KIND.NAME for that one."""

from __future__ import annotations

from collections.abc import Mapping

from harness.model.fault import Fault
from harness.plan.validation import adapter

__all__ = ["NO_DIRECTION", "WEAKER_WHEN_LESS", "WEAKER_WHEN_MORE", "doubled", "is_in"]

WEAKER_WHEN_LESS = frozenset(
    {
        *("for_s", "slow_load_s", "latency_ms", "jitter_ms", "delay_ms", "stall_ms", "toxicity", "flips_per_million"),
        *("count", "share", "block_bytes", "mb", "kb_per_request", "slots", "connections", "clients", "words"),
        *("output_tokens", "weights.bit_flip.bits", "traffic.burst.rate_per_s", "traffic.abandon.rate_per_s"),
        "traffic.long_prompt.rate_per_s",
        "clock.jump.by_s",  # towards 0 from either side
        "memory.oom.within_s",  # how long it lasts
        "network.timeout.timeout_ms",  # who is hung up on can ask again sooner; 0, never, is not tried
    }
)
WEAKER_WHEN_MORE = frozenset(
    {
        *("processors", "kb_per_s", "rate_kb_per_s"),
        "spare",  # descriptors that are left
        "events",  # of a token stream that arrive
        "keep_ratio",  # of a file
        "up_s",  # between two kills
        "patience_s",  # of a client, before it asks again
        "network.reset.after_ms",  # by then short answers are whole
        "weights.quantise.bits",  # that a weight keeps
    }
)
NO_DIRECTION: Mapping[str, str] = {
    "at_s": "when, not how much: all faults are moved together, so that their order and distance stay",
    "restart_after_s": "when, not how much",
    "timeout_s": "of the commands of `exec`, which do not break more when they may take longer",
    "status": "a code",
    "exit_code": "a code",
    "retry_after_s": "who heeds it waits longer, and asks less of a server in trouble",
    "kills_min": "what the proof asks for, not what is done",
    "traffic.abandon.after_s": "who leaves sooner asks for less, and leaves more behind that nobody waits for",
    "weights.config.to": "a value of the model's, of which neither end is harmless",
}


def is_in(table: frozenset[str] | Mapping[str, str], kind: str, name: str) -> bool:
    """Whether it speaks of that field of a fault."""
    return name in table or f"{kind}.{name}" in table


def doubled(fault: Fault, name: str) -> float:
    """Twice as much, 1 from 0, at most what the schema allows; where that is open, half of the way to it."""
    value = getattr(fault, name)
    bounds = adapter(type(fault)).json_schema()["properties"][name]
    more = 2 * value or 1
    if (below := bounds.get("exclusiveMaximum")) is not None and more >= below:
        more = round((value + below) / 2, 3)
    most: float = min(more, bounds.get("maximum", more))
    return int(most) if isinstance(value, int) else float(most)
