"""Who tried too many wrong keys: a sliding window per address. No I/O, no clock of its own."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

__all__ = ["Lockout", "LockoutRules"]

# An attacker with many addresses must not fill the memory; the one that was quiet the longest is forgotten.
ADDRESSES_MAX = 10_000


@dataclass(frozen=True)
class LockoutRules:
    """`failures_max` wrong keys within `window_s` lock an address out for `lock_s`; 0: never."""

    failures_max: int = 5
    window_s: float = 60.0
    lock_s: float = 60.0


@dataclass
class _Record:
    failed_s: deque[float] = field(default_factory=deque)
    until_s: float = float("-inf")


class Lockout:
    """Asked before a key is looked at, told of every wrong one."""

    def __init__(self, rules: LockoutRules) -> None:
        self._rules = rules
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def wait_s(self, address: str, now_s: float) -> float:
        """Until the address may try again; 0 when it may now."""
        record = self._records.get(address)
        return 0.0 if record is None else max(0.0, record.until_s - now_s)

    def failed(self, address: str, now_s: float) -> int | None:
        """A wrong key; the number of failures in the window when they lock the address out, else None."""
        if not self._rules.failures_max:
            return None
        record = self._records.setdefault(address, _Record())
        self._records.move_to_end(address)
        if len(self._records) > ADDRESSES_MAX:
            self._records.popitem(last=False)
        times_s = record.failed_s
        times_s.append(now_s)
        while times_s[0] <= now_s - self._rules.window_s:
            times_s.popleft()
        if len(times_s) < self._rules.failures_max:
            return None
        failures = len(times_s)
        record.until_s = now_s + self._rules.lock_s
        # What has been punished does not count again.
        times_s.clear()
        return failures
