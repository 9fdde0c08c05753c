"""A target that serves only who has its key: a key of the run's own, which goes by the environment and into no file."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

__all__ = ["USER_KEY", "Keyed", "authorization"]

USER_KEY = "RELIABILITY_HARNESS_USER_KEY"  # variable of the harness's own clients


@runtime_checkable
class Keyed(Protocol):
    """A stack that may have such a target."""

    def user_key(self) -> str | None:
        """What users must show, once it is up; None: nothing."""


def authorization(key: str | None) -> dict[str, str]:
    """The header that shows it."""
    return {} if key is None else {"Authorization": f"Bearer {key}"}
