"""How a token stream ended that was sent with status 200: the status line is gone before anybody knows. Pure."""

from __future__ import annotations

from target_service.protocol.sse import DONE

__all__ = ["StreamEnd"]

ERROR = b'data: {"error"'
KEPT = 32  # bytes that an event's begin or the end of the stream may lie across


class StreamEnd:
    """Told of every piece as it passes; nothing of the stream is kept but its last bytes."""

    def __init__(self) -> None:
        self._last = b""
        self._failed = False

    def feed(self, piece: bytes) -> None:
        """The next bytes."""
        seen = self._last + piece
        self._failed = self._failed or ERROR in seen
        self._last = seen[-KEPT:]

    @property
    def outcome(self) -> str:
        """What the request is counted as, now that the replica has closed the stream in good order."""
        if self._failed:
            return "upstream_error"
        return "answered" if self._last.rstrip().endswith(DONE.rstrip()) else "upstream_incomplete"
