"""Which replica fails its users again and again while its beats are green. Pure."""

from __future__ import annotations

from target_service.gateway.evidence import Evidence

__all__ = ["OutlierDetector"]


class OutlierDetector:
    """Counts failures in a row, a replica at a time."""

    def __init__(self, failures_max: int) -> None:
        self._failures_max = failures_max
        self._failures: dict[str, int] = {}

    def failures(self, name: str) -> int:
        """In a row until now."""
        return self._failures.get(name, 0)

    def note(self, name: str, evidence: Evidence) -> bool:
        """One request of a user ended; whether the replica is an outlier now."""
        if evidence is Evidence.GOOD:
            self.forget(name)
        elif evidence is Evidence.FAILED:
            self._failures[name] = self.failures(name) + 1
        return self.failures(name) >= self._failures_max

    def forget(self, name: str) -> None:
        """Begin again."""
        self._failures.pop(name, None)
