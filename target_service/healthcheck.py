"""A container's health check: `python -m target_service.healthcheck URL`; 0 if the answer is 200 within a second.

Small and quick to import, since the engine starts it again and again beside the server.
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

__all__ = ["healthy"]

WITHIN_S = 1.0


def healthy(url: str, within_s: float = WITHIN_S) -> bool:
    """Whether GET `url` answers 200; every other answer, and none, is False."""
    try:
        with urllib.request.urlopen(url, timeout=within_s) as answer:  # noqa: S310  the compose file says which
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


if __name__ == "__main__":
    sys.exit(0 if healthy(sys.argv[1]) else 1)
