"""The links of a container run, through the ports that its engine publishes on this host."""

from __future__ import annotations

from dataclasses import replace

from harness.stack.links import Ask, Seen
from harness.stack.reference.links import LocalLinks

__all__ = ["PublishedLinks", "behind_forwarder"]


class PublishedLinks(LocalLinks):
    """Looks come from this host, users from inside; what an engine's forwarder makes of a refusal is one here."""

    def seen(self, port: int, ask: Ask, request: bytes) -> Seen:
        return behind_forwarder(super().seen(port, ask, request))


def behind_forwarder(seen: Seen) -> Seen:
    """An engine's forwarder accepts, then asks the container; where nobody listens, it hangs up without a byte."""
    hung_up = seen.connected and not seen.data and (seen.reset or seen.closed_s is not None)
    return replace(seen, refused=True) if hung_up else seen
