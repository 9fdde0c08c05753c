"""How long replicas that registered themselves stay: leases. Pure."""

from __future__ import annotations

__all__ = ["Leases"]


class Leases:
    """When each lease runs out, in monotonic seconds."""

    def __init__(self) -> None:
        self._until_s: dict[str, float] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._until_s

    def __len__(self) -> int:
        return len(self._until_s)

    def until_s(self, name: str) -> float | None:
        """None for a replica without a lease: it stays."""
        return self._until_s.get(name)

    def renew(self, name: str, until_s: float) -> None:
        """Begin or prolong; a renewal never shortens."""
        self._until_s[name] = max(until_s, self._until_s.get(name, until_s))

    def end(self, name: str) -> None:
        """Forget it."""
        self._until_s.pop(name, None)

    def lapsed(self, now_s: float) -> list[str]:
        """Whose lease has run out."""
        return [name for name, until_s in self._until_s.items() if until_s <= now_s]
