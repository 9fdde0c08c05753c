"""How many different ids were seen, in bounded memory."""

from __future__ import annotations

from hashlib import blake2b

__all__ = ["DistinctCounter"]


class DistinctCounter:
    """Counts distinct ids exactly as long as repeats come within `remembered` other ids."""

    def __init__(self, remembered: int = 500_000) -> None:
        self._remembered = remembered
        # A dict keeps order, so the oldest id is the one forgotten; 8 bytes stand for an id.
        self._seen: dict[bytes, None] = {}
        self.count = 0

    def add(self, identity: str) -> bool:
        """Take note of an id; return whether it is new."""
        key = blake2b(identity.encode(), digest_size=8).digest()
        if key in self._seen:
            return False
        if len(self._seen) >= self._remembered:
            del self._seen[next(iter(self._seen))]
        self._seen[key] = None
        self.count += 1
        return True
